"""What clients must not do: slow heads, huge heads and bodies, bad framing, bytes that are no text, JSON that is none or
too deep, and for every field of every endpoint of /openapi.json values of every wrong type. The server has to give the
right status and the right error, keep everyone else's answers as they are, and be as large afterwards as before."""
import concurrent.futures
import json
import socket
import sys
import tempfile
import time

import bystanders
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
# Fields inside of fields; the description stops at the outer ones.
INNER = {
    "stream_options": ["include_usage", "continuous_usage_stats"], "response_format": ["type", "json_schema", "schema"],
    "structured_outputs": ["json", "regex", "choice", "grammar", "json_object"], "tool_choice": ["type", "function", "name"],
    "messages": ["role", "content", "name", "tool_calls", "tool_call_id"], "tools": ["type", "function", "name", "input_schema"],
    "input": ["type", "role", "content"], "text": ["format"], "chat_template_kwargs": ["enable_thinking"],
    "parameters": ["max_new_tokens", "do_sample", "temperature", "top_k", "top_p", "typical_p", "repetition_penalty", "stop",
                   "seed", "details", "decoder_input_details", "top_n_tokens", "return_full_text", "best_of", "truncate",
                   "watermark", "grammar"]}
DEFAULTS = {"messages": {"role": "user", "content": "a"}, "tools": {"type": "function", "function": {"name": "f"}},
            "input": {"role": "user", "content": "a"}, "response_format": {"type": "json_schema"}}


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


def gigabytes(server, tally, size):
    """Bodies that are larger than what is taken, sent to the end: refused while they come."""
    piece = b" " * (1 << 20)
    heads = {"announced": (b"Content-Length: %d\r\n\r\n" % size, b"%s"),
             "in chunks": (b"Transfer-Encoding: chunked\r\n\r\n", b"%x\r\n%%s\r\n" % len(piece))}
    for name, (head, form) in heads.items():
        before = bystanders.resident_bytes(server)
        with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
            connection.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: a\r\n" + head)
            sent, answer = 0, b""
            try:
                while sent < size:
                    connection.sendall(form % piece)
                    sent += len(piece)
            except ConnectionError:
                pass  # it has heard enough; what it said is here
            try:
                answer = connection.recv(65536)
            except ConnectionError:
                pass
        grown = bystanders.resident_bytes(server) - before
        tally.check(status_of(answer) == 413, f"{size} bytes {name}: {status_of(answer)} after {sent}")
        tally.check(grown < 100 << 20, f"{size} bytes {name}: the server grew by {grown}")


def well_shaped(path, name, text):
    """Whether an error is in the shape of the endpoint's dialect and says what it is about."""
    error = json.loads(text)
    if path.startswith("/generate"):
        said = error["error"] if set(error) == {"error", "error_type"} else ""
    elif path.startswith("/v1/messages"):
        said = error["error"]["message"] if error["type"] == "error" and error["error"]["type"] else ""
    else:
        said = error["error"]["message"] if set(error["error"]) == {"message", "type", "param", "code"} else ""
    return bool(said)


def wrong_types(server, tally, every):
    """No value of any type may give anything but an answer or an error that names the field. `every`: one of so many."""
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
            for inner in INNER.get(name, []) + (["no_such_field"] if name in INNER else []):
                objects = [{**DEFAULTS.get(name, {}), inner: value} for value in ANY]
                jobs += [(path, name, {**base, name: [o] if name in ("messages", "tools", "input") else o}) for o in objects]

    def one(job):
        path, name, body = job
        text = json.dumps(body).replace("Infinity", "1e400")
        if name == "n" or name == "best_of":
            text = text.replace("128", "2")
        answer = raw(server, post(path, text), wait=60)
        status, body = status_of(answer), answer.partition(b"\r\n\r\n")[2]
        good = status == 200 or (status in (400, 404, 422) and well_shaped(path, name, body))
        return None if good else f"{path} {text[:200]}: {status} {body[:200]}"

    jobs = jobs[::every]
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
    return bystanders.metric(server, "vllm:kv_cache_usage_perc")


def clients_that_leave(server, tally):
    aborted = lambda: bystanders.metric(server, "vllm:request_success_total", 'finished_reason="abort"')
    before, clients = aborted(), 20
    for _ in range(clients):
        connection = socket.create_connection(("127.0.0.1", server.port), timeout=10)
        connection.sendall(post("/v1/completions", '{"prompt":"Once","max_tokens":400,"ignore_eos":true,"stream":true}'))
        connection.recv(100)
        connection.close()
    # A few may have been sent all of their text before the server hears that they are gone.
    stopped = any(aborted() - before >= clients // 2 or time.sleep(0.02) for _ in range(250))
    tally.check(stopped, f"clients that left: {aborted() - before} of {clients} requests were aborted")


def attack(server, tally, options):
    gigabytes(server, tally, options.body)
    frames(server, tally)
    slow_clients(server, tally, 200)
    clients_that_leave(server, tally)
    wrong_types(server, tally, options.every)


def main():
    parser = programs.arguments(__doc__)
    parser.add_argument("--every", type=int, default=1, help="only one of so many of the values of wrong types")
    parser.add_argument("--body", type=int, default=1 << 30, help="bytes of the bodies that are too large")
    options = parser.parse_args()
    tally = programs.Tally()
    with tempfile.TemporaryDirectory() as work:
        artifact = serving.compile_stories(options, work)
        template = "{% for m in messages %}{{ m.content }}{% endfor %}"
        with serving.Server(options.llmrt, artifact, "--port", 0, "--chat-template", template, "--max-num-seqs",
                            16) as server:
            others = bystanders.OtherStreams(server)
            sizes = []
            for _ in range(4):
                attack(server, tally, options)
                sizes.append(bystanders.resident_bytes(server))
            # What the first times leave are caches that are full and what the allocator keeps; the others add nothing.
            print("resident bytes after each round:", *sizes)
            tally.check(sizes[3] < sizes[1] * 1.1 + (8 << 20), f"memory grows: {sizes}")
            others.finish(tally)
            tally.check(pages_used(server) == 0, "no page is lost")
            tally.check(server.end(15) == 0, "a clean end")
    tally.finish()


if __name__ == "__main__":
    sys.exit(main())
