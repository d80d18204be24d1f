"""What must stay as it is while a server is attacked: other clients' streams, its memory, its pages."""
import json
import pathlib
import re
import threading


def metric(server, name, label=""):
    """The value of the first series whose name begins so and whose labels have `label`."""
    lines = server.ask("GET", "/metrics")[1].splitlines()
    return float(next(line for line in lines if line.startswith(name) and label in line).split()[-1])


def resident_bytes(server):
    status = pathlib.Path(f"/proc/{server.process.pid}/status").read_text()
    return 1024 * int(re.search(r"VmRSS:\s+(\d+)", status)[1])


class OtherStreams:
    """Somebody else's streams, one after the other: none may differ from what it is alone."""

    def __init__(self, server, headers=None):
        self.count, self.wrong, self.ended = 0, [], threading.Event()
        self.server, self.headers = server, headers or {}
        self.expected = self.one()
        self.thread = threading.Thread(target=self.loop)
        self.thread.start()

    def one(self):
        status, text = self.server.ask("POST", "/v1/completions", {
            "prompt": "Once upon a time", "max_tokens": 40, "temperature": 0, "stream": True}, self.headers)
        pieces = [json.loads(line)["choices"] for line in re.findall(r"^data: (\{.*)$", text, re.M)]
        return status, "".join(choice["text"] for choices in pieces for choice in choices), "[DONE]" in text

    def loop(self):
        while not self.ended.wait(0.02):
            try:
                got = self.one()
            except Exception as error:  # a connection that was refused, say
                got = str(error)
            self.count += 1
            if got != self.expected:
                self.wrong.append(got)

    def finish(self, tally):
        self.ended.set()
        self.thread.join()
        tally.check(self.expected[0] == 200 and self.expected[1] and self.expected[2], "a stream alone")
        tally.check(self.count > 0 and not self.wrong,
                    f"other streams: {len(self.wrong)} of {self.count} differ, as {self.wrong[:1]}")
        print(f"{self.count} streams beside it, each as it is alone")
