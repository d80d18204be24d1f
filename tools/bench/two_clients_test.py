#!/usr/bin/env python3
"""two_clients.py sends what bench-serve sends: both are asked for their requests by a server that writes them down."""
import http.server
import json
import os
import pathlib
import subprocess
import threading
import types
import unittest

import two_clients

LLMRT = pathlib.Path(os.environ["LLMC_BIN"]) / "llmrt"


class Recorder(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    bodies = []

    def answer(self, kind, text):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def do_POST(self):
        self.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        event = b'data: {"choices":[{"index":0,"text":"a","finish_reason":null}]}\n\n'
        last = b'data: {"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":3}}\n\ndata: [DONE]\n\n'
        self.answer("text/event-stream", 3 * event + last)

    def log_message(self, *_):
        pass


class TwoClients(unittest.TestCase):
    def test_philox_is_philox(self):
        self.assertEqual(two_clients.philox((0, 0, 0, 0), (0, 0)), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8))

    def test_both_send_the_same(self):
        args = types.SimpleNamespace(llmrt=str(LLMRT), num_prompts=7, request_rate=100, input_len=5, output_len=3, seed=9)
        timed = two_clients.requests(args, 1000)
        self.assertEqual([at for at, _ in timed], sorted(at for at, _ in timed))
        sent = []
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Recorder) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            port = server.server_address[1]
            figures = two_clients.second_client(port, timed)
            sent.append(list(Recorder.bodies))
            Recorder.bodies.clear()
            flags = ["--model", "m", "--random-vocab-size", "1000"]
            two_clients.bench_serve(args, port, figures, flags)
            sent.append([{k: v for k, v in body.items() if k != "model"} for body in Recorder.bodies])
            server.shutdown()
        by_prompt = [sorted(bodies, key=lambda body: body["prompt"]) for bodies in sent]
        self.assertEqual(len(by_prompt[0]), 7)
        self.assertEqual(*by_prompt)


if __name__ == "__main__":
    unittest.main()
