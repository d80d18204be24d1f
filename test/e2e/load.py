"""Load on a real server: many streams at once, each equal to what it gives alone; many connections held; a server that
is killed in the middle of it all, again and again; bench-serve, and a batch that is interrupted and goes on."""
import asyncio
import hashlib
import json
import pathlib
import random
import resource
import shlex
import signal
import subprocess
import sys
import tempfile
import time

import programs
import serving

WORDS = "dog cat girl boy bird fish tree star king queen bear frog duck mouse farmer baker".split()
PROMPTS = [f"Once upon a time, a {a} met a {b}" for a in WORDS for b in WORDS[:4]]


async def stream(port, prompt, tokens=24):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    body = json.dumps({"prompt": prompt, "max_tokens": tokens, "temperature": 0, "ignore_eos": True, "stream": True})
    writer.write(f"POST /v1/completions HTTP/1.0\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
    data = await reader.read()
    writer.close()
    if not data.startswith(b"HTTP/1.1 200") or not data.endswith(b"data: [DONE]\n\n"):
        return None
    events = [line[6:] for line in data.split(b"\n") if line.startswith(b"data: {")]
    return "".join(json.loads(event)["choices"][0]["text"] for event in events)


async def many_streams(port, count, alone):
    wanted = [PROMPTS[i % len(PROMPTS)] for i in range(count)]
    texts = await asyncio.gather(*(stream(port, prompt) for prompt in wanted))
    return sum(text != alone[prompt] for prompt, text in zip(wanted, texts))


async def held_connections(port, count, alone):
    """Opens them all, then asks on some of them and beside them."""
    held = []
    for _ in range(count):
        held.append(await asyncio.open_connection("127.0.0.1", port))
    wrong = await many_streams(port, 20, alone)
    for reader, writer in held[:: max(1, count // 50)]:
        writer.write(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n")
        wrong += not (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 200")
    for _, writer in held:
        writer.close()
    return wrong


def streams_and_connections(options, artifact, tally):
    with serving.Server(options.llmrt, artifact, "--port", 0, "--max-num-seqs", 64) as server:
        alone = {p: server.complete(prompt=p, max_tokens=24)["choices"][0]["text"] for p in PROMPTS}
        start = time.monotonic()
        wrong = asyncio.run(many_streams(server.port, options.streams, alone))
        tally.check(wrong == 0, f"{wrong} of {options.streams} streams lost or wrong")
        print(f"{options.streams} streams in {time.monotonic() - start:.1f} s")
        wrong = asyncio.run(held_connections(server.port, options.connections, alone))
        tally.check(wrong == 0, f"{wrong} wrong answers while {options.connections} connections are held")
        print(f"{options.connections} connections held")
        text = server.ask("GET", "/metrics")[1]
        used = [line.split()[-1] for line in text.splitlines() if line.startswith("vllm:kv_cache_usage_perc")]
        tally.check(used == ["0"], f"pages in use at the end: {used}")
        tally.check(server.end(signal.SIGTERM) == 0, "a clean end")


def kills(options, artifact, tally):
    random.seed(1)
    before = hashlib.sha256(pathlib.Path(artifact).read_bytes()).hexdigest()
    text = None
    for _ in range(options.kills):
        with serving.Server(options.llmrt, artifact, "--port", 0, "--access-log", artifact.with_suffix(".log")) as server:
            now = server.complete(prompt=PROMPTS[0], max_tokens=24)["choices"][0]["text"]
            text = text or now
            tally.check(now == text, "the same answer after a kill")
            command = [*shlex.split(options.llmrt), "bench-serve", "--port", server.port, "--num-prompts", 50,
                       "--random-input-len", 30, "--random-output-len", 30, "--json"]
            load = subprocess.Popen([str(c) for c in command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(random.random() * 0.3)
            server.end(signal.SIGKILL)
            load.wait(timeout=60)
    after = hashlib.sha256(pathlib.Path(artifact).read_bytes()).hexdigest()
    tally.check(before == after, "the artifact is as it was")
    programs.run(options.llmrt, "verify", artifact)
    print(f"{options.kills} kills")


def bench(options, artifact, tally):
    with serving.Server(options.llmrt, artifact, "--port", 0) as server:
        flags = ["--port", server.port, "--num-prompts", 30, "--random-input-len", 20, "--random-output-len", 10]
        result = json.loads(programs.run(options.llmrt, "bench-serve", *flags, "--request-rate", 200, "--json"))
        tally.check(result["completed"] == 30 and result["total_output_tokens"] == 300, f"bench-serve: {result}")
        tally.check(result["total_input_tokens"] == 600, "the prompts' lengths")
        table = programs.run(options.llmrt, "bench-serve", *flags, "--max-concurrency", 2)
        tally.check("Mean TTFT (ms):" in table and "Successful requests:" in table, table)


def batch(options, artifact, tally):
    work = pathlib.Path(artifact).parent
    lines = [{"custom_id": f"r{i}", "method": "POST", "url": "/v1/completions",
              "body": {"prompt": PROMPTS[i % len(PROMPTS)], "max_tokens": 200, "temperature": 0, "ignore_eos": True}}
             for i in range(200)]
    lines[7]["body"]["max_tokens"] = "many"
    (work / "in.jsonl").write_text("\n".join(json.dumps(line) for line in lines))
    command = [*shlex.split(options.llmrt), "run-batch", str(artifact), "-i", str(work / "in.jsonl"), "-o",
               str(work / "out.jsonl"), "-q"]
    first = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    part = work / "out.jsonl.part"
    while first.poll() is None and (not part.exists() or part.read_text().count("\n") < 5):
        time.sleep(0.01)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    tally.check(not (work / "out.jsonl").exists(), "an interrupted batch has no file of answers")
    with open(part, "a") as file:
        file.write('{"custom_id": "r199", "resp')  # as a crash in the middle of a line leaves it
    second = subprocess.run(command, stderr=subprocess.PIPE, text=True)
    tally.check(second.returncode == 0 and "are in" in second.stderr, f"it goes on: {second.stderr}")
    answers = [json.loads(line) for line in (work / "out.jsonl").read_text().splitlines()]
    tally.check(sorted(a["custom_id"] for a in answers) == sorted(line["custom_id"] for line in lines), "each once")
    bad = [a["custom_id"] for a in answers if a["response"]["status_code"] != 200]
    tally.check(bad == ["r7"], f"errors: {bad}")
    texts = {}
    for a in answers:
        if a["custom_id"] not in bad:
            texts.setdefault(int(a["custom_id"][1:]) % len(PROMPTS), set()).add(a["response"]["body"]["choices"][0]["text"])
    tally.check(all(len(t) == 1 for t in texts.values()), "equal requests, equal answers")


def main():
    parser = programs.arguments(__doc__)
    parser.add_argument("--streams", type=int, default=100)
    parser.add_argument("--connections", type=int, default=500)
    parser.add_argument("--kills", type=int, default=3)
    options = parser.parse_args()
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    tally = programs.Tally()
    with tempfile.TemporaryDirectory() as work:
        artifact = serving.compile_stories(options, work)
        bench(options, artifact, tally)
        batch(options, artifact, tally)
        streams_and_connections(options, artifact, tally)
        kills(options, artifact, tally)
    tally.finish()


if __name__ == "__main__":
    sys.exit(main())
