"""Load on a real server: many streams at once, each equal to what it gives alone; many connections held; memory that
stays flat; a trace replayed; what the scheduler promises; a server that is killed in the middle of it all, again and
again; bench-serve, and a batch that is interrupted and goes on. Every part ends with no page in use and none lost."""
import asyncio
import hashlib
import json
import os
import pathlib
import random
import resource
import shlex
import signal
import statistics
import subprocess
import sys
import tempfile
import time

import load_client
import load_memory
import load_scheduling
import load_tools
import load_trace
import programs
import serving

TOKENS = 24


def body_of(prompt):
    return {"prompt": prompt, "max_tokens": TOKENS, "temperature": 0, "ignore_eos": True}


async def many_streams(port, count, alone):
    """How many of so many streams at once are lost or wrong."""
    wanted = [serving.PROMPTS[i % len(serving.PROMPTS)] for i in range(count)]
    _, answers = await load_client.arrivals(port, [(0, body_of(prompt)) for prompt in wanted])
    return sum(not a.good or a.text != alone[prompt] for prompt, a in zip(wanted, answers))


async def held_connections(port, count, alone):
    """Opens them all, then asks beside them and on each of them."""
    held = [load_client.Connection(port) for _ in range(count)]
    for connection in held:
        await connection.open()
    wrong = await many_streams(port, 20, alone)
    for place, connection in enumerate(held):
        prompt = serving.PROMPTS[place % len(serving.PROMPTS)]
        if place % max(1, count // 50) == 0:
            answer = await connection.stream("/v1/completions", body_of(prompt))
            wrong += not answer.good or answer.text != alone[prompt]
        else:
            wrong += (await connection.ask("/health", None, "GET")).status != 200
    for connection in held:
        connection.close()
    return wrong


def streams_and_connections(options, artifact, tally):
    with serving.Server(options.llmrt, artifact, "--port", 0, "--max-num-seqs", 64) as server:
        alone = {prompt: server.alone(body_of(prompt)) for prompt in serving.PROMPTS}
        start = time.monotonic()
        wrong = asyncio.run(many_streams(server.port, options.streams, alone))
        tally.check(wrong == 0, f"{wrong} of {options.streams} streams lost or wrong")
        print(f"{options.streams} streams of {TOKENS} tokens in {time.monotonic() - start:.1f} s")
        start = time.monotonic()
        wrong = asyncio.run(held_connections(server.port, options.connections, alone))
        tally.check(wrong == 0, f"{wrong} wrong answers while {options.connections} connections are held")
        print(f"{options.connections} connections held and asked in {time.monotonic() - start:.1f} s")
        serving.check_idle(server, tally)
        tally.check(server.end(signal.SIGTERM) == 0, "a clean end")


def killed_once(options, artifact, port, tally, alone):
    """Starts on the port, is put under load and killed. Returns port, the text of one request, seconds to get it, and
    whether requests were lost, that is, whether the load was there."""
    start = time.monotonic()
    log = artifact.with_suffix(".log")
    with serving.Server(options.llmrt, artifact, "--port", port, "--access-log", log) as server:
        text = server.alone(body_of(serving.PROMPTS[0]))
        taken = time.monotonic() - start
        tally.check(alone in (None, text), "the same answer after a kill")
        command = [*shlex.split(options.llmrt), "bench-serve", "--port", server.port, "--num-prompts", 300,
                   "--random-input-len", 30, "--random-output-len", 30, "--json"]
        load = subprocess.Popen([str(c) for c in command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(random.uniform(0, 0.4))
        server.end(signal.SIGKILL)
        return server.port, text, taken, load.wait(timeout=60) != 0


def kills(options, artifact, tally):
    random.seed(1)
    before = hashlib.sha256(artifact.read_bytes()).hexdigest()
    port, text, times, lost = 0, None, [], 0
    for _ in range(options.kills):
        port, text, taken, in_load = killed_once(options, artifact, port, tally, text)
        times.append(taken)
        lost += in_load
    tally.check(lost > options.kills // 2, f"only {lost} of {options.kills} kills came into a load")
    tally.check(before == hashlib.sha256(artifact.read_bytes()).hexdigest(), "the artifact is as it was")
    programs.run(options.llmc, "verify", artifact)
    lines = artifact.with_suffix(".log").read_text().splitlines()
    whole = [line for line in lines if line.startswith("{") and "request_id" in json.loads(line)]
    tally.check(lines == whole, "every line of the access log is whole")
    left = sorted(path.name for path in artifact.parent.iterdir() if path.stem == artifact.stem)
    tally.check(left == [artifact.name, artifact.stem + ".log"], f"files left behind: {left}")
    print(f"{options.kills} kills, {lost} in the middle of a load; from start to a first answer "
          f"{statistics.median(times) * 1e3:.0f} ms (median), {max(times) * 1e3:.0f} ms at most")


PARTS = {"bench": load_tools.bench, "batch": load_tools.batch, "streams": streams_and_connections,
         "memory": load_memory.flat, "trace": load_trace.replay, "admission": load_scheduling.admission,
         "drain": load_scheduling.drain, "kills": kills}


def main():
    parser = programs.arguments(__doc__)
    parser.add_argument("--streams", type=int, default=100)
    parser.add_argument("--connections", type=int, default=500)
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--requests", type=int, default=0, help="for the memory's growth; default 100 * --streams")
    parser.add_argument("--trace", type=pathlib.Path, default=os.environ.get("LLMC_TRACE"),
                        help="a file of the Azure LLM inference trace; default LLMC_TRACE, else one is made up")
    parser.add_argument("--trace-minutes", type=float, default=0, help="of the trace; default --streams / 100")
    parser.add_argument("--trace-speed", type=float, default=20)
    parser.add_argument("--parts", default=",".join(PARTS), help="of " + ", ".join(PARTS))
    options = parser.parse_args()
    options.requests = options.requests or 100 * options.streams
    options.trace_minutes = options.trace_minutes or options.streams / 100
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    tally = programs.Tally()
    with tempfile.TemporaryDirectory() as work:
        artifact = serving.compile_stories(options, work)
        for part in options.parts.split(","):
            start = time.monotonic()
            PARTS[part](options, artifact, tally)
            print(f"{part}: {time.monotonic() - start:.0f} s", flush=True)
    tally.finish()


if __name__ == "__main__":
    sys.exit(main())
