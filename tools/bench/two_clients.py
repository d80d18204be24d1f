#!/usr/bin/env python3
"""Holds the figures of `llmrt bench-serve` against those of another load generator (test/e2e/load_client.py: Python,
asyncio, no code in common) on one server, with the same prompts at the same times.

    tools/bench/two_clients.py --llmrt build/dev/bin/llmrt --artifact FILE.fbs -o docs/benchmarks/two-clients

The two take turns. A figure is the median over the rounds; exit code 1 where two differ by more than 3%. The server
computes on one thread so that the clients have a processor to themselves. Writes NAME.json and NAME.md.
"""
import argparse
import asyncio
import json
import math
import pathlib
import platform
import shlex
import statistics
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "test" / "e2e"))
import load_client
import serving

LIMIT = 0.03
NAMES = ["ttft", "tpot", "itl", "e2el"]


def philox(counter, key):
    """Philox4x32-10; see runtime/engine/philox.h."""
    for _ in range(10):
        a, b = 0xD2511F53 * counter[0], 0xCD9E8D57 * counter[2]
        counter = (b >> 32 ^ counter[1] ^ key[0], b & 0xFFFFFFFF, a >> 32 ^ counter[3] ^ key[1], a & 0xFFFFFFFF)
        key = ((key[0] + 0x9E3779B9) & 0xFFFFFFFF, (key[1] + 0xBB67AE85) & 0xFFFFFFFF)
    return counter


def draw(seed, index, branch, stream):
    bits = philox((index & 0xFFFFFFFF, index >> 32, branch, stream), (seed & 0xFFFFFFFF, seed >> 32))
    return ((bits[1] << 32 | bits[0]) >> 11) * 2.0**-53


def requests(args, vocabulary):
    """What bench-serve sends, and when."""
    at, timed = 0.0, []
    for i in range(args.num_prompts):
        prompt = [int(draw(args.seed, k, i + 1, 2) * vocabulary) for k in range(args.input_len)]
        timed.append((at, {"prompt": prompt, "max_tokens": args.output_len, "temperature": 0, "ignore_eos": True,
                           "stream_options": {"include_usage": True}}))
        at -= math.log(1 - draw(args.seed, i, 0, 3)) / args.request_rate
    return timed


def second_client(port, timed):
    start, answers = asyncio.run(load_client.arrivals(port, timed))
    bad = [a.error or a.status for a in answers if not a.good]
    if bad:
        raise SystemExit(f"{len(bad)} requests failed, the first with {bad[0]}")
    tokens = [a.usage["completion_tokens"] for a in answers]
    series = {"ttft": [a.events[0] - a.sent for a in answers],
              "tpot": [(a.events[-1] - a.events[0]) / (n - 1) for a, n in zip(answers, tokens)],
              "itl": [later - now for a in answers for now, later in zip(a.events, a.events[1:])],
              "e2el": [a.events[-1] - a.sent for a in answers]}
    duration = max(a.events[-1] for a in answers) - start
    out = {"request_throughput": len(answers) / duration, "output_throughput": sum(tokens) / duration}
    for name, values in series.items():
        milliseconds = [1e3 * value for value in values]
        out |= {f"mean_{name}_ms": statistics.mean(milliseconds), f"median_{name}_ms": statistics.median(milliseconds),
                f"p99_{name}_ms": load_client.percentile(milliseconds, 99)}
    return out


def bench_serve(args, port, figures, more=()):
    command = [*shlex.split(args.llmrt), "bench-serve", "--port", port, "--num-prompts", args.num_prompts,
               "--request-rate", args.request_rate, "--random-input-len", args.input_len, "--random-output-len",
               args.output_len, "--seed", args.seed, "--percentile-metrics", ",".join(NAMES), "--json", *more]
    done = subprocess.run([str(c) for c in command], check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    report = json.loads(done.stdout)
    return {name: report[name] for name in figures}


def table(rows):
    lines = ["| figure | bench-serve | asyncio client | difference |", "|---|---|---|---|"]
    for name, (ours, other) in rows.items():
        lines.append(f"| {name} | {ours:.3f} | {other:.3f} | {100 * (ours / other - 1):+.2f}% |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--llmrt", default="build/dev/bin/llmrt")
    parser.add_argument("--artifact", required=True)
    parser.add_argument("--num-prompts", type=int, default=40)
    parser.add_argument("--request-rate", type=float, default=4)
    parser.add_argument("--input-len", type=int, default=64)
    parser.add_argument("--output-len", type=int, default=32)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("-o", "--output", type=pathlib.Path, help="without the ending; nothing is written if absent")
    args = parser.parse_args()
    rounds = []
    with serving.Server(args.llmrt, args.artifact, "--port", 0, "-t", 1, "--no-enable-prefix-caching") as server:
        model = json.loads(server.ask("GET", "/v1/models")[1])["data"][0]
        timed = requests(args, model["meta"]["n_vocab"])
        second_client(server.port, timed[:8])  # the first requests of a server touch its memory
        for _ in range(args.rounds):
            other = second_client(server.port, timed)
            rounds.append((bench_serve(args, server.port, other), other))
    rows = {name: tuple(statistics.median(pair[side][name] for pair in rounds) for side in (0, 1))
            for name in rounds[0][0]}
    text = table(rows)
    print(text)
    if args.output:
        record = {"command": shlex.join(sys.argv), "machine": platform.processor() or platform.machine(),
                  "rounds": [{"bench_serve": ours, "asyncio_client": other} for ours, other in rounds]}
        args.output.with_suffix(".json").write_text(json.dumps(record, indent=1) + "\n")
        args.output.with_suffix(".md").write_text(f"# Two load generators\n\n`{record['command']}`\n\n{text}\n")
    worst = max(abs(ours / other - 1) for ours, other in rows.values())
    print(f"largest difference {100 * worst:.2f}%")
    return 0 if worst <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
