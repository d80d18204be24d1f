"""A headless Chromium for tests, and a relay between it and a server that can slow an answer down, make one up, or add
fields to a request."""
import http.client
import http.server
import json
import threading
import time

from selenium import webdriver
from selenium.webdriver.chrome.service import Service

# Before any script of the page: what its policy blocks, and what scripts that must not run would do.
WATCH = """
window.violations = [];
document.addEventListener('securitypolicyviolation', (e) => window.violations.push(e.violatedDirective + ' ' + e.blockedURI));
window.executed = [];
window.alert = (what) => window.executed.push(what);
"""


def start(width=1100, height=800, dark=False, phone=False):
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for flag in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--lang=en"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    if phone:
        options.add_experimental_option("mobileEmulation", {"deviceMetrics": {
            "width": width, "height": height, "pixelRatio": 2, "mobile": True, "touch": True}})
    driver = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))
    if not phone:
        driver.set_window_size(width, height)
    look(driver, dark)
    driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": WATCH})
    return driver


def look(driver, dark):
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [
        {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]})


def events(text, size=7):
    """`text` as a chat's stream."""
    pieces = [text[i:i + size] for i in range(0, len(text), size)]
    for i, piece in enumerate(pieces):
        usage = {"prompt_tokens": 3, "completion_tokens": i + 1, "total_tokens": i + 4}
        last = "stop" if i + 1 == len(pieces) else None
        yield b"data: %s\n\n" % json.dumps(
            {"choices": [{"index": 0, "delta": {"content": piece}, "finish_reason": last}], "usage": usage}).encode()
    yield b"data: [DONE]\n\n"


class Relay:
    """http://127.0.0.1:PORT in front of a server. `bodies`: of the generations asked for, in order. `script`: what the next
    answers say, instead of asking the server; `extra`: fields that are added to the next requests; `delay`: seconds
    before each piece of an answer."""

    def __init__(self, server):
        self.bodies, self.script, self.extra, self.delay = [], None, {}, 0
        relay = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                self.forward(None)

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                relay.bodies.append(body)
                if relay.script is None:
                    return self.forward(json.dumps({**body, **relay.extra}))
                self.head(200, [("Content-Type", "text/event-stream")])
                self.pieces(events(relay.script))

            def head(self, status, headers):
                self.send_response(status)
                for name, value in headers:
                    if name.lower() not in ("connection", "content-length", "transfer-encoding"):
                        self.send_header(name, value)
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()

            def pieces(self, source):
                for piece in source:
                    time.sleep(relay.delay)
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
                self.wfile.write(b"0\r\n\r\n")

            def forward(self, body):
                upstream = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
                try:
                    names = ("Authorization", "Content-Type")
                    upstream.request(self.command, self.path, body, {n: self.headers[n] for n in names if n in self.headers})
                    answer = upstream.getresponse()
                    self.head(answer.status, answer.getheaders())
                    self.pieces(iter(lambda: answer.read1(400 if relay.delay else 65536), b""))
                except OSError:  # the browser has gone, or the server has
                    self.close_connection = True
                finally:
                    upstream.close()

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.handle_error = lambda *_: None  # browsers close connections as they like
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}/"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def reset(self):
        self.bodies, self.script, self.extra, self.delay = [], None, {}, 0

    def close(self):
        self.http.shutdown()
        self.http.server_close()
