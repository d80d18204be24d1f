"""llmrt serve over TLS, in builds that have it: handshakes, what is no TLS, slow ones, long streams, clients that leave."""
import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import threading
import time
import unittest
import warnings

import serving
from common import LLMRT, ArtifactTest, greedy

# Of /completion, whose streams have an event a token where there is no tokenizer too.
STREAM = {"prompt": [1, 5, 3], "n_predict": 2000, "stream": True, "ignore_eos": True, "temperature": 0}


def tokens_of(stream):
    events = [json.loads(line[6:]) for line in stream.splitlines() if line.startswith("data: ")]
    return [token for event in events for token in event["tokens"]]


def make_certificate(folder):
    """A self-signed one for localhost, and its key."""
    files = [os.path.join(folder, name) for name in ("cert.pem", "key.pem")]
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
                    "-out", files[0], "-keyout", files[1]], check=True, capture_output=True)
    return files


class Tls(ArtifactTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.cert, cls.key = make_certificate(cls.folder.name)
        cls.server = serving.Server(LLMRT, cls.artifact, "--port", 0, "--ssl-certfile", cls.cert, "--ssl-keyfile", cls.key,
                                    "--max-model-len", 20000)
        cls.trust = ssl.create_default_context(cafile=cls.cert)

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__()
        super().tearDownClass()

    def connect(self, context=None):
        return http.client.HTTPSConnection("localhost", self.server.port, timeout=30, context=context or self.trust)

    def ask(self, method, path, body=None):
        connection = self.connect()
        connection.request(method, path, json.dumps(body) if body is not None else None)
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return answer.status, text

    def metric(self, name):
        lines = self.ask("GET", "/metrics")[1].splitlines()
        return float(next(line for line in lines if line.startswith(name)).split()[-1])

    def plain(self):
        return socket.create_connection(("127.0.0.1", self.server.port), timeout=30)

    def test_requests(self):
        self.assertTrue(self.server.address.startswith("https://127.0.0.1:"))
        connection = self.connect()
        for _ in range(3):  # one connection
            connection.request("POST", "/v1/completions", json.dumps(
                {"prompt": [1, 5, 3], "max_tokens": 12, "logprobs": 0, "ignore_eos": True, "temperature": 0}))
            answer = json.loads(connection.getresponse().read())
            tokens = [int(t.split(":")[1]) for t in answer["choices"][0]["logprobs"]["tokens"]]
            self.assertEqual(tokens, greedy([1, 5, 3], 12))
        connection.close()

    def test_versions(self):
        for version, good in ((ssl.TLSVersion.TLSv1_3, True), (ssl.TLSVersion.TLSv1_2, True),
                              (ssl.TLSVersion.TLSv1_1, False)):
            context = ssl.create_default_context(cafile=self.cert)
            warnings.simplefilter("ignore", DeprecationWarning)  # of the old version, which is to be refused
            context.set_ciphers("DEFAULT:@SECLEVEL=0")
            context.minimum_version = context.maximum_version = version
            connection = self.connect(context)
            if good:
                connection.request("GET", "/health")
                self.assertEqual(connection.getresponse().status, 200)
                self.assertEqual(connection.sock.version(), version.name.replace("_", "."))
                connection.close()
            else:
                self.assertRaises(ssl.SSLError, connection.request, "GET", "/health")

    def test_a_client_that_does_not_trust_it(self):
        self.assertRaises(ssl.SSLCertVerificationError, self.connect(ssl.create_default_context()).request, "GET", "/health")
        self.assertEqual(self.ask("GET", "/health")[0], 200)

    def test_the_end_is_said(self):
        """close_notify, not a cut: a client can tell that it has everything."""
        with self.trust.wrap_socket(self.plain(), server_hostname="localhost", suppress_ragged_eofs=False) as client:
            client.sendall(b"GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            out = b""
            while piece := client.recv(4096):
                out += piece
        self.assertTrue(out.endswith(b'{"status":"ok"}'), out)

    def test_plain_http_is_closed(self):
        with self.plain() as client:
            client.sendall(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n" + b"x" * 100000)
            client.shutdown(socket.SHUT_WR)
            out = b""
            while piece := client.recv(4096):  # an alert at most; a reset would raise
                out += piece
        self.assertNotIn(b"HTTP/1.1", out)
        self.assertEqual(self.ask("GET", "/health")[0], 200)

    def test_garbage_is_closed(self):
        for bytes_sent in (b"\x16\x03\x01\x02\x00\x01" + b"\xff" * 600, b"\x00" * 1000, os.urandom(5000),
                           b"\x16\x03\x01\xff\xff"):
            with self.plain() as client:
                client.sendall(bytes_sent)
                client.shutdown(socket.SHUT_WR)
                try:
                    while client.recv(4096):
                        pass
                except ConnectionError:
                    pass
        self.assertEqual(self.ask("GET", "/health")[0], 200)

    def test_half_a_handshake_ends_in_time(self):
        """Slow ones hold nobody up, and are closed."""
        held = [self.plain() for _ in range(50)]
        for client in held:
            client.sendall(b"\x16\x03\x01\x02\x00\x01\x00")
        self.assertEqual(self.ask("GET", "/health")[0], 200)
        for client in held:
            self.assertEqual(client.recv(100), b"")  # the timeout of plain() is twice the server's
            client.close()

    def test_a_long_stream_and_pipelined_requests(self):
        whole = self.ask("POST", "/completion", STREAM)[1]
        self.assertGreater(whole.count("data: "), 2000)
        self.assertEqual(tokens_of(whole), greedy([1, 5, 3], 2000))
        with self.trust.wrap_socket(self.plain(), server_hostname="localhost") as client:
            client.sendall(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n" * 20 +
                           b"GET /version HTTP/1.1\r\nConnection: close\r\n\r\n")
            out = b""
            while piece := client.recv(4096):
                out += piece
        self.assertEqual(out.count(b"HTTP/1.1 200 OK"), 21)

    def test_large_bodies(self):
        text = " " * (8 << 20)
        status, said = self.ask("POST", "/v1/completions", {"prompt": text})
        self.assertEqual(status, 400, said)  # this model has no tokenizer
        status, said = self.ask("POST", "/v1/completions", {"prompt": text * 5})
        self.assertEqual(status, 413, said)

    def test_many_streams_at_once(self):
        expected, wrong = greedy([1, 5, 3], 2000), []

        def one():
            if tokens_of(self.ask("POST", "/completion", STREAM)[1]) != expected:
                wrong.append(1)
        threads = [threading.Thread(target=one) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(wrong, [])

    def test_clients_that_leave_have_no_pages(self):
        for polite in (True, False):
            client = self.trust.wrap_socket(self.plain(), server_hostname="localhost")
            body = json.dumps({**STREAM, "n_predict": 19000}).encode()
            client.sendall(b"POST /completion HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            self.assertIn(b"200 OK", client.recv(1000))
            if polite:
                client.setblocking(False)
                try:
                    client.unwrap()
                except (ssl.SSLError, OSError):
                    pass
            client.close()
        for _ in range(200):
            if self.metric("vllm:kv_cache_usage_perc") == 0 and self.metric("vllm:num_requests_running") == 0:
                return
            time.sleep(0.05)
        self.fail("pages are still in use")

    def test_drains(self):
        with serving.Server(LLMRT, self.artifact, "--port", 0, "--ssl-cert-file", self.cert, "--ssl-key-file",
                            self.key, "--max-model-len", 20000) as server:
            client = http.client.HTTPSConnection("localhost", server.port, timeout=30, context=self.trust)
            client.request("POST", "/completion", json.dumps(STREAM))
            answer = client.getresponse()
            server.process.send_signal(signal.SIGTERM)
            self.assertEqual(tokens_of(answer.read().decode()), greedy([1, 5, 3], 2000))
            client.close()
            self.assertEqual(server.process.wait(timeout=30), 0)

    def test_certificates_that_cannot_be_used(self):
        none = self.path("none.pem")
        self.bad(1, "--ssl-certfile " + none, "serve", self.artifact, "--ssl-certfile", none)
        self.bad(1, "--ssl-certfile", "serve", self.artifact, "--ssl-certfile", self.write("no.pem", "no certificate"))
        self.bad(1, "--ssl-keyfile", "serve", self.artifact, "--ssl-certfile", self.cert)  # it holds no key
        self.bad(2, "--ssl-keyfile needs --ssl-certfile", "serve", self.artifact, "--ssl-keyfile", self.key)
        other = os.path.join(self.folder.name, "other")
        os.makedirs(other, exist_ok=True)
        self.bad(1, "--ssl-keyfile", "serve", self.artifact, "--ssl-certfile", self.cert, "--ssl-keyfile",
                 make_certificate(other)[1])
        locked = self.path("locked.pem")
        subprocess.run(["openssl", "ec", "-in", self.key, "-aes128", "-passout", "pass:word", "-out", locked], check=True,
                       capture_output=True)
        self.bad(1, "--ssl-keyfile", "serve", self.artifact, "--ssl-certfile", self.cert, "--ssl-keyfile", locked)
        with open(self.cert) as cert, open(self.key) as key:
            both = self.write("both.pem", cert.read() + key.read())
        with serving.Server(LLMRT, self.artifact, "--port", 0, "--ssl-certfile", both) as server:
            self.assertTrue(server.address.startswith("https://"))


if __name__ == "__main__":
    unittest.main()
