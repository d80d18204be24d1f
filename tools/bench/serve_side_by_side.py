#!/usr/bin/env python3
"""Times `llmrt serve` and llama-server side by side on one machine, under one client.

    tools/bench/serve_side_by_side.py --artifact 1b.fbs --gguf 1b-Q4_0.gguf --llama-server DIR/llama-server \\
        --streams 1,4,16,32 -o docs/benchmarks/NAME

For each count of streams and each round both servers are started, loaded by `llmrt bench-serve` with that many requests
on their way all the time, and stopped, one after the other: the memory of a shared machine changes its speed within
minutes, so a ratio is of neighbours in time. Prompts are random ids, no prefix is shared, answers have their full
length. NAME.json keeps every sample and command; a further run adds to it. NAME.md has the medians.
"""
import argparse
import contextlib
import http.client
import json
import pathlib
import platform
import re
import shlex
import signal
import socket
import statistics
import subprocess
import sys
import time

FIGURES = ["output_throughput", "request_throughput"] + [
    f"{kind}_{name}_ms" for name in ("ttft", "tpot", "itl", "e2el") for kind in ("mean", "median", "p99")]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def healthy(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


@contextlib.contextmanager
def server(command, port):
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while not healthy(port):
            if process.poll() is not None:
                raise SystemExit(f"{shlex.join(command)}: ended with {process.returncode}")
            time.sleep(0.05)
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def output_of(command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout


def commands(args, streams, port):
    tokens = args.input_len + args.output_len + 8
    ours = [args.llmrt, "serve", args.artifact, "--port", port, "-t", args.threads, "--max-num-seqs", streams,
            "--max-model-len", tokens, "--no-enable-prefix-caching", "-q"]
    theirs = [args.llama_server, "-m", args.gguf, "--port", port, "-t", args.threads, "-np", streams, "-c",
              streams * tokens, *shlex.split(args.llama_flags)]
    return {"llmrt": [str(word) for word in ours], "llama-server": [str(word) for word in theirs]}


def sample(args, streams, side):
    port = free_port()
    command = commands(args, streams, port)[side]
    client = [args.llmrt, "bench-serve", "--port", port, "--max-concurrency", streams, "--random-input-len",
              args.input_len, "--percentile-metrics", "ttft,tpot,itl,e2el", "--json"]
    prompts = max(4, streams * args.waves)
    bench = [str(w) for w in [*client, "--num-prompts", prompts, "--random-output-len", args.output_len]]
    warm = [str(w) for w in [*client, "--num-prompts", 1, "--random-output-len", 4, "--seed", 99]]
    with server(command, port):
        output_of(warm)
        report = json.loads(output_of(bench))
    wanted = report["num_prompts"] * args.output_len
    if report["failed"] or report["total_output_tokens"] != wanted:
        raise SystemExit(f"{side}: {report['failed']} failed, {report['total_output_tokens']} tokens of {wanted}")
    return {"server": command, "client": bench, **{name: report[name] for name in FIGURES}}


def cell(samples, side, name):
    return statistics.median(one[side][name] for one in samples)


def table(record):
    lines = ["| streams | rounds | tokens/s: llmrt | llama-server | ratio (median of rounds) | mean TTFT, ms | "
             "| mean ITL, ms | | p99 ITL, ms | |", "|" + "---|" * 11]
    for streams, samples in sorted(record["samples"].items(), key=lambda item: int(item[0])):
        ratio = statistics.median(one["llmrt"]["output_throughput"] / one["llama-server"]["output_throughput"]
                                  for one in samples)
        row = [streams, len(samples)]
        row += [f"{cell(samples, side, 'output_throughput'):.1f}" for side in ("llmrt", "llama-server")]
        row.append(f"{ratio:.2f}")
        for name in ("mean_ttft_ms", "mean_itl_ms", "p99_itl_ms"):
            row += [f"{cell(samples, side, name):.0f}" for side in ("llmrt", "llama-server")]
        lines.append("| " + " | ".join(map(str, row)) + " |")
    return "\n".join(lines)


def processor():
    found = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    return found[1] if found else platform.machine()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--llmrt", default="build/dev/bin/llmrt")
    parser.add_argument("--artifact", required=True)
    parser.add_argument("--llama-server", required=True)
    parser.add_argument("--gguf", required=True)
    parser.add_argument("--llama-flags", default="", help="further ones for llama-server")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--streams", default="1,4,16,32")
    parser.add_argument("--waves", type=int, default=1, help="requests a stream")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--input-len", type=int, default=128)
    parser.add_argument("--output-len", type=int, default=64)
    parser.add_argument("-o", "--output", required=True, type=pathlib.Path, help="without the ending")
    args = parser.parse_args()
    path = args.output.with_suffix(".json")
    record = json.loads(path.read_text()) if path.exists() else {"machine": processor(), "samples": {}}
    for streams in args.streams.split(","):
        for _ in range(args.rounds):
            pair = {side: sample(args, int(streams), side) for side in ("llmrt", "llama-server")}
            record["samples"].setdefault(streams, []).append(pair)
            path.write_text(json.dumps(record, indent=1) + "\n")
    title = f"# llmrt serve beside llama-server\n\n`{shlex.join(sys.argv)}`\n\n{record['machine']}, {args.threads} " \
            f"threads, prompts of {args.input_len} random ids, answers of {args.output_len} tokens. Of two columns of " \
            "one head the first is llmrt's."
    args.output.with_suffix(".md").write_text(f"{title}\n\n{table(record)}\n")
    print(table(record))


if __name__ == "__main__":
    main()
