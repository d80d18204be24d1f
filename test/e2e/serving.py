"""A running llmrt serve, for tests."""
import http.client
import json
import os
import pathlib
import re
import resource
import shlex
import socket
import subprocess
import threading
import time

import programs

WORDS = "dog cat girl boy bird fish tree star king queen bear frog duck mouse farmer baker".split()
PROMPTS = [f"Once upon a time, a {a} met a {b}" for a in WORDS for b in WORDS[:4]]


def compile_stories(options, work):
    """stories260k, compiled into the folder `work`."""
    artifact = pathlib.Path(work) / "stories260k.fbs"
    programs.run(options.llmc, "compile", programs.ROOT / "test" / "models" / "stories260k", "-o", artifact, "-q")
    return artifact


class Server:
    """A running server; stopped at the end of a with."""

    def __init__(self, llmrt, artifact, *flags, environment=None, memory=None):
        """`memory`: bytes of RLIMIT_DATA."""
        limit = (lambda: resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))) if memory else None
        self.process = subprocess.Popen([*shlex.split(str(llmrt)), "serve", str(artifact), *map(str, flags)], stderr=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True, env={**os.environ, **(environment or {})},
                                        preexec_fn=limit)
        self.said = ""
        for line in self.process.stderr:
            self.said += line
            if line.startswith("listening on "):
                break
        if not self.said.splitlines()[-1].startswith("listening on "):
            raise RuntimeError("the server did not start: " + self.said)
        self.address = re.match(r"listening on (\S+)\n$", self.said.splitlines(True)[-1]).group(1)
        # What comes later must not fill the pipe.
        self.reader = threading.Thread(target=self.read_on, daemon=True)
        self.reader.start()

    def read_on(self):
        for line in self.process.stderr:
            self.said += line

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.reader.join()
        self.process.stdout.close()
        self.process.stderr.close()

    @property
    def url(self):
        return self.address

    @property
    def port(self):
        return int(self.address.rsplit(":", 1)[1])

    def connect(self):
        if self.address.startswith("unix:"):
            connection = http.client.HTTPConnection("localhost", timeout=30)
            connection.sock = socket.socket(socket.AF_UNIX)
            connection.sock.connect(self.address[5:])
            return connection
        host, port = re.match(r"http://([^:]+):(\d+)$", self.address).groups()
        return http.client.HTTPConnection(host, int(port), timeout=30)

    def ask(self, method, path, body=None, headers=None):
        connection = self.connect()
        connection.request(method, path, json.dumps(body) if body is not None else None, headers or {})
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return answer.status, text

    def complete(self, **fields):
        status, text = self.ask("POST", "/v1/completions", {"temperature": 0, "ignore_eos": True, **fields})
        assert status == 200, text
        return json.loads(text)

    def alone(self, body):
        """The text that a stream's body gets as one request."""
        fields = {name: value for name, value in body.items() if name != "stream_options"}
        return self.complete(**fields)["choices"][0]["text"]

    def end(self, number):
        self.process.send_signal(number)
        return self.process.wait(timeout=60)


def metrics(server):
    """Every value of /metrics by its name and labels, without the labels that all of a model's have."""
    values = {}
    for line in server.ask("GET", "/metrics")[1].splitlines():
        if not line.startswith("#"):
            name, value = line.rsplit(" ", 1)
            name = re.sub(r'engine="[^"]*",model_name="[^"]*",?', "", name)
            values[name.replace("{}", "")] = float(value)
    return values


def check_idle(server, tally):
    """Nobody is left, no page is in use, and none is lost."""
    for _ in range(200):
        values = metrics(server)
        if values["vllm:num_requests_running"] == values["vllm:num_requests_waiting"] == 0:
            break
        time.sleep(0.05)
    total = next(int(re.search(r'num_gpu_blocks="(\d+)"', name)[1]) for name in values if "cache_config_info" in name)
    pages = {state: values[f'vllm:kv_cache_pages{{state="{state}"}}'] for state in ("free", "cached", "used")}
    tally.check(pages["used"] == 0 and sum(pages.values()) == total, f"pages at the end: {pages}, {total} in all")
