"""What clients must not do: slow heads, huge heads and bodies, bad framing, bytes that are no text, JSON that is none or
too deep, and for every field of every endpoint of /openapi.json values of every wrong type. The server has to give the
right status and the right error, keep everyone else's answers as they are, and be as large afterwards as before."""
import concurrent.futures
import json
import socket
import sys
import tempfile
import time

import programs
import serving

ANY = [None, True, 0, -1, 1.5, 1e308, 10**30, "", "x" * 1000, "\ud800", [], [[]], {}, {"a": {}}, [None], [1e400], ["a", 1]]
REQUIRED = {"prompt": "a", "inputs": "a", "input": "a", "content": "a", "tokens": [1], "max_tokens": 2, "n_predict": 2,
            "max_output_tokens": 2, "messages": [{"role": "user", "content": "a"}], "text_1": "a", "text_2": "a",
            "query": "a", "documents": ["a"]}
SHORT = {"/v1/completions": ["prompt", "max_tokens"], "/v1/chat/completions": ["messages", "max_tokens"],
         "/v1/responses": ["input", "max_output_tokens"], "/v1/messages": ["messages", "max_tokens"],
         "/v1/messages/count_tokens": ["messages"], "/completion": ["prompt", "n_predict"], "/generate": ["inputs"],
         "/generate_stream": ["inputs"], "/tokenize": ["prompt"], "/detokenize": ["tokens"],
         "/apply-template": ["messages"], "/v1/embeddings": ["input"],
         "/v1/score": ["text_1", "text_2"], "/v1/rerank": ["query", "documents"]}


def raw(server, data, wait=10, then=b""):
    """Sends bytes, returns all that comes until the end or `wait` seconds of silence."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=wait) as connection:
        out = b""
        try:
            connection.sendall(data)
            if then:
                time.sleep(0.05)
                connection.sendall(then)
            while piece := connection.recv(65536):
                out += piece
        except (TimeoutError, ConnectionError):
            pass
        return out


def status_of(answer):
    return int(answer[9:12]) if answer.startswith(b"HTTP/1.1 ") else 0


def post(path, body, headers=""):
    body = body if isinstance(body, bytes) else body.encode()
    return (f"POST {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
            ).encode() + body


def frames(server, tally):
    good = '{"prompt":"a","max_tokens":1}'
    chunked = "POST /v1/completions HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    cases = [
        ("garbage", b"\x00\xff\x01garbage\r\n\r\n", 400),
        ("no version", b"GET /health\r\n\r\n", 400),
        ("HTTP/3.7", b"GET /health HTTP/3.7\r\n\r\n", None),
        ("a huge header", b"GET /health HTTP/1.1\r\nX: " + b"a" * 200000 + b"\r\n\r\n", 431),
        ("many headers", b"GET /health HTTP/1.1\r\n" + b"X: y\r\n" * 50000 + b"\r\n", 431),
        ("a header without a colon", b"GET /health HTTP/1.1\r\nnonsense\r\n\r\n", 400),
        ("two lengths", post("/v1/completions", good, "Content-Length: 5\r\n"), 400),
        ("a length that is none", b"POST /v1/completions HTTP/1.1\r\nContent-Length: ten\r\n\r\n", 400),
        ("a negative length", b"POST /v1/completions HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        ("a gigabyte announced", b"POST /v1/completions HTTP/1.1\r\nContent-Length: 1073741824\r\n\r\n", 413),
        ("a chunk size that is none", chunked.encode() + b"xyz\r\nabc\r\n0\r\n\r\n", 400),
        ("a huge chunk size", chunked.encode() + b"ffffffffffffffffff\r\n", 400),
        ("chunks that are good", chunked.encode() + b"%x\r\n%s\r\n0\r\n\r\n" % (len(good), good.encode()), 200),
        ("an Expect that is unknown", post("/v1/completions", good, "Expect: wonders\r\n"), 417),
        ("no such method", b"BREW /v1/completions HTTP/1.1\r\nConnection: close\r\n\r\n", 405),
        ("no such path", b"GET /../../etc/passwd HTTP/1.1\r\nConnection: close\r\n\r\n", 404),
        ("bytes that are no UTF-8", post("/v1/completions", b'{"prompt":"\xff\xfe"}'), 400),
        ("no JSON", post("/v1/completions", "{'prompt':1}"), 400),
        ("half of it", post("/v1/completions", '{"prompt":"a'), 400),
        ("deep", post("/v1/completions", '{"prompt":' + "[" * 100000 + "]" * 100000 + "}"), 400),
        ("a deep object", post("/v1/chat/completions", '{"a":' * 5000 + "1" + "}" * 5000), 400),
        ("a number as the body", post("/v1/completions", "5"), 400),
        ("nothing", post("/v1/completions", ""), 400),
    ]
    for name, data, expected in cases:
        status = status_of(raw(server, data))
        tally.check(status == expected or (expected is None and status in (0, 400, 505)), f"{name}: {status}")
    answer = raw(server, post("/v1/completions", good, "Expect: 100-continue\r\n"))
    tally.check(b"100 Continue" in answer and b"200 OK" in answer, "Expect: 100-continue")
    two = b"GET /health HTTP/1.1\r\n\r\nGET /version HTTP/1.1\r\nConnection: close\r\n\r\n"
    tally.check(raw(server, two).count(b"HTTP/1.1 200") == 2, "pipelining")


def wrong_types(server, tally):
    """No value of any type may give anything but an answer or an error that names the field."""
    described = json.loads(server.ask("GET", "/openapi.json")[1])
    jobs = []
    for path, operations in described["paths"].items():
        if "post" not in operations:
            continue
        schema = operations["post"]["requestBody"]["content"]["application/json"]["schema"]
        base = {name: REQUIRED[name] for name in SHORT.get(path, [])}
        if path.startswith("/generate"):
            base["parameters"] = {"max_new_tokens": 1}
        for name in list(schema["properties"]) + schema["x-refused"] + ["no_such_field"]:
            jobs += [(path, name, {**base, name: value}) for value in ANY]

    def one(job):
        path, name, body = job
        text = json.dumps(body).replace("Infinity", "1e400")
        if name == "n" or name == "best_of":
            text = text.replace("128", "2")
        status = status_of(raw(server, post(path, text), wait=60))
        return None if status in (200, 400, 404, 422) else f"{path} {text[:200]}: {status}"

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        wrong = [w for w in pool.map(one, jobs) if w]
    for what in wrong[:20]:
        print(what)
    tally.check(not wrong, f"{len(wrong)} of {len(jobs)} values gave a wrong status")
    print(f"{len(jobs)} requests with values of wrong types")


def slow_clients(server, tally, count):
    """Connections that send a byte now and then hold nobody up, and half-sent requests leave nothing behind."""
    held = []
    for _ in range(count):
        connection = socket.create_connection(("127.0.0.1", server.port), timeout=10)
        connection.sendall(b"POST /v1/completions HTTP/1.1\r\nContent-Length: 100\r\nX-")
        held.append(connection)
    for connection in held[::7]:
        connection.sendall(b"a")
    start = time.monotonic()
    tally.check(server.ask("GET", "/health")[0] == 200, "health while slow clients hold connections")
    tally.check(time.monotonic() - start < 5, "others are not held up")
    for connection in held:
        connection.close()


def pages_used(server):
    text = server.ask("GET", "/metrics")[1]
    return float(next(line for line in text.splitlines() if line.startswith("vllm:kv_cache_usage_perc")).split()[-1])


def clients_that_leave(server, tally):
    for _ in range(20):
        connection = socket.create_connection(("127.0.0.1", server.port), timeout=10)
        connection.sendall(post("/v1/completions", '{"prompt":"Once","max_tokens":400,"ignore_eos":true,"stream":true}'))
        connection.recv(100)
        connection.close()
    for _ in range(100):
        if pages_used(server) == 0:
            break
        time.sleep(0.05)
    tally.check(pages_used(server) == 0, "clients that left have no pages")


def main():
    options = programs.arguments(__doc__).parse_args()
    tally = programs.Tally()
    with tempfile.TemporaryDirectory() as work:
        artifact = serving.compile_stories(options, work)
        template = "{% for m in messages %}{{ m.content }}{% endfor %}"
        with serving.Server(options.llmrt, artifact, "--port", 0, "--chat-template", template) as server:
            fields = {"prompt": "Once upon a time", "max_tokens": 60}
            before = server.complete(**fields)["choices"][0]["text"]
            frames(server, tally)
            slow_clients(server, tally, 200)
            clients_that_leave(server, tally)
            wrong_types(server, tally)
            tally.check(server.complete(**fields)["choices"][0]["text"] == before, "the same answer as before")
            tally.check(pages_used(server) == 0, "no page is lost")
            tally.check(server.end(15) == 0, "a clean end")
    tally.finish()


if __name__ == "__main__":
    sys.exit(main())
