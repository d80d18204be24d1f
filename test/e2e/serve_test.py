"""llmrt serve as a process: its ready line, its sockets, its signals."""
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import threading
import time
import unittest

from common import LLMRT, ArtifactTest, greedy


class Server:
    """A running server; stopped at the end of a with."""

    def __init__(self, artifact, *flags, environment=None):
        self.process = subprocess.Popen([LLMRT, "serve", artifact, *map(str, flags)], stderr=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True, env={**os.environ, **(environment or {})})
        self.said = ""
        for line in self.process.stderr:
            self.said += line
            if line.startswith("listening on "):
                break
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

    def end(self, number):
        self.process.send_signal(number)
        return self.process.wait(timeout=30)


class Serve(ArtifactTest):
    def test_a_tour(self):
        with Server(self.artifact, "--port", 0) as server:
            self.assertEqual(server.ask("GET", "/health")[0], 200)
            models = json.loads(server.ask("GET", "/v1/models")[1])
            self.assertEqual(models["data"][0]["id"], "fake")
            answer = server.complete(prompt=[1, 5, 3], max_tokens=10)
            self.assertEqual(answer["usage"]["completion_tokens"], 10)
            self.assertEqual(answer["choices"][0]["text"], "")  # there is no tokenizer
            self.assertEqual(server.ask("POST", "/v1/completions", {"prompt": "text"})[0], 400)
            self.assertEqual(server.ask("POST", "/v1/completions", {"model": "x", "prompt": [1]})[0], 404)
            status, text = server.ask("POST", "/v1/chat/completions", {"messages": [{"role": "user", "content": "a"}]})
            self.assertEqual(status, 400)
            self.assertIn("--chat-template", text)
            self.assertIn("vllm:num_requests_running", server.ask("GET", "/metrics")[1])
            self.assertEqual(server.end(signal.SIGTERM), 0)

    def test_tokens_are_the_engines(self):
        with Server(self.artifact, "--port", 0) as server:
            for prompt in ([1], [3, 3, 3], list(range(8))):
                answer = server.complete(prompt=prompt, max_tokens=12, logprobs=0)
                tokens = [int(t.split(":")[1]) for t in answer["choices"][0]["logprobs"]["tokens"]]
                self.assertEqual(tokens, greedy(prompt, 12))

    def test_many_at_once_get_what_each_gets_alone(self):
        with Server(self.artifact, "--port", 0, "--max-num-seqs", 4) as server:
            wrong = []

            def one(i):
                answer = server.complete(prompt=[1, i % 8, i // 8], max_tokens=20, logprobs=0)
                tokens = [int(t.split(":")[1]) for t in answer["choices"][0]["logprobs"]["tokens"]]
                if tokens != greedy([1, i % 8, i // 8], 20):
                    wrong.append(i)

            threads = [threading.Thread(target=one, args=(i,)) for i in range(32)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.assertEqual(wrong, [])

    def test_unix_socket(self):
        path = self.path("server.sock")
        with Server(self.artifact, "--uds", path) as server:
            self.assertEqual(server.address, "unix:" + path)
            self.assertEqual(server.ask("GET", "/health")[0], 200)
            self.assertEqual(server.end(signal.SIGTERM), 0)
        self.assertFalse(os.path.exists(path))

    def test_names_keys_and_environment(self):
        environment = {"LLMRT_ARG_API_KEY": "k", "LLMRT_ARG_SERVED_MODEL_NAME": "other"}
        with Server(self.artifact, "--port", 0, environment=environment) as server:
            self.assertEqual(server.ask("GET", "/v1/models")[0], 401)
            status, text = server.ask("GET", "/v1/models", headers={"Authorization": "Bearer k"})
            self.assertEqual(status, 200)
            self.assertEqual(json.loads(text)["data"][0]["id"], "other")

    def test_damaged_weights_are_found_while_serving(self):
        with open(self.artifact, "rb") as file:
            data = bytearray(file.read())
        shown = json.loads(self.good("inspect", self.artifact, "--json").stdout)
        data[next(s for s in shown["segments"] if s["kind"] == "weights")["offset"]] ^= 1
        damaged = self.path("damaged.fbs")
        with open(damaged, "wb") as file:
            file.write(data)
        with Server(damaged, "--port", 0) as server:
            for _ in range(100):
                if "DAMAGED" in server.said:
                    break
                time.sleep(0.1)
            self.assertIn("DAMAGED", server.said)
        self.bad(1, "weights are damaged", "serve", damaged, "--port", 0, "--verify-weights")

    def test_sigint_is_130(self):
        with Server(self.artifact, "--port", 0) as server:
            self.assertEqual(server.end(signal.SIGINT), 130)

    def test_a_taken_port_is_an_error(self):
        with Server(self.artifact, "--port", 0) as server:
            port = server.address.rsplit(":", 1)[1]
            done = subprocess.run([LLMRT, "serve", self.artifact, "--port", port], capture_output=True, text=True)
            self.assertEqual(done.returncode, 1)
            self.assertIn("cannot listen on", done.stderr)


if __name__ == "__main__":
    unittest.main()
