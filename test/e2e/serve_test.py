"""llmrt serve as a process: its ready line, its sockets, its signals."""
import json
import os
import signal
import subprocess
import threading
import time
import unittest

import serving
from common import LLMRT, ArtifactTest, greedy


def Server(artifact, *flags, environment=None):
    return serving.Server(LLMRT, artifact, *flags, environment=environment)


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

    def test_a_build_without_tls_refuses_its_flags(self):
        if "libssl" in subprocess.run(["ldd", LLMRT], capture_output=True, text=True).stdout:
            self.skipTest("this build has TLS: see tls_test.py")
        for flag in ("--ssl-certfile", "--ssl-keyfile"):
            self.bad(2, flag + ": this llmrt was built without TLS", "serve", self.artifact, flag, "a.pem")

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
