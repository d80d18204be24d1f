#!/usr/bin/env python3
"""Times llmrt and llama.cpp side by side on one machine.

    tools/bench/side_by_side.py --artifact 1b.fbs --gguf 1b-Q4_0.gguf --peer-bin DIR -o docs/benchmarks/NAME

DIR holds llama-bench and llama-batched-bench, of any build. Both sides run alone, by turns, in short rounds: the memory
of a shared machine changes its speed within minutes, so a ratio is of neighbours in time. The limits (read, int8 dot)
come from llmrt's own runs. Writes NAME.json (every sample and command), NAME.md (medians) and NAME.svg (the ratios).
"""

import argparse
import json
import pathlib
import platform
import statistics
import subprocess

PEER = "llama.cpp"


def parse_tests(text):
    """"pp512", "tg64@4096", "tg32x8": what, its depth, its streams."""
    tests = []
    for word in text.split(","):
        name, _, streams = word.partition("x")
        name, _, depth = name.partition("@")
        if name[:2] not in ("pp", "tg") or not name[2:].isdigit():
            raise SystemExit(f"{word}: not a test; pp512, tg64@4096 and tg32x8 are")
        tests.append({"name": word, "prompt": name[:2] == "pp", "tokens": int(name[2:]), "depth": int(depth or 0),
                      "streams": int(streams or 1)})
    return tests


def output_of(command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout


def run_ours(args, test):
    tokens = ["-p", str(test["tokens"]), "-n", "0"] if test["prompt"] else ["-p", "0", "-n", str(test["tokens"])]
    command = [args.llmrt, "bench", args.artifact, "-t", args.threads, *tokens, "-d", str(test["depth"]), "-s",
               str(test["streams"]), "-r", "1", "--json", "-q"]
    if args.cpu_tier:
        command += ["--cpu-tier", args.cpu_tier]
    report = json.loads(output_of(command))
    row = report["results"][0]
    return {"command": command, "tokens_per_s": row["tokens_per_s"], "of_read": row["fraction_of_read"],
            "of_dot": row["fraction_of_dot_peak"], **report["limits"]}


def run_peer(args, test, gguf):
    bench = pathlib.Path(args.peer_bin)
    if test["streams"] > 1:
        context = test["streams"] * (max(test["depth"], 1) + test["tokens"])
        command = [bench / "llama-batched-bench", "-m", gguf, "-t", args.threads, "-c", context + 64, "-npp",
                   max(test["depth"], 1), "-ntg", test["tokens"], "-npl", test["streams"], "--output-format", "jsonl"]
        command = [str(word) for word in command]
        lines = [line for line in output_of(command).splitlines() if line.startswith("{")]
        return {"command": command, "tokens_per_s": json.loads(lines[-1])["speed_tg"]}
    best = None
    for flash in ("0", "1") if test["depth"] else ("0",):  # with a depth, whichever is quicker
        tokens = ["-p", test["tokens"], "-n", 0] if test["prompt"] else ["-p", 0, "-n", test["tokens"]]
        command = [bench / "llama-bench", "-m", gguf, "-t", args.threads, *tokens, "-d", test["depth"], "-r", 1, "-fa",
                   flash, "-o", "json"]
        command = [str(word) for word in command]
        sample = {"command": command, "tokens_per_s": json.loads(output_of(command))[0]["avg_ts"]}
        if best is None or sample["tokens_per_s"] > best["tokens_per_s"]:
            best = sample
    return best


def measure(args, test):
    record = {"test": test["name"], "ours": [], "peers": {gguf.stem: [] for gguf in args.gguf}}
    for _ in range(args.rounds):
        record["ours"].append(run_ours(args, test))
        for gguf in args.gguf:
            record["peers"][gguf.stem].append(run_peer(args, test, gguf))
    best = max(record["peers"], key=lambda name: median(record["peers"][name], "tokens_per_s"))
    record["best_peer"] = best
    record["ratio"] = statistics.median(
        mine["tokens_per_s"] / theirs["tokens_per_s"] for mine, theirs in zip(record["ours"], record["peers"][best]))
    return record


def median(samples, key):
    return statistics.median(sample[key] for sample in samples)


def table(records):
    out = [f"| test | llmrt, tokens/s | of read | of dot | {PEER}, tokens/s | file | ratio | read GB/s | dot Gop/s |",
           "|---|---|---|---|---|---|---|---|---|"]
    for record in records:
        ours, theirs = record["ours"], record["peers"][record["best_peer"]]
        out.append(f"| {record['test']} | {median(ours, 'tokens_per_s'):.1f} | {median(ours, 'of_read'):.0%} |"
                   f" {median(ours, 'of_dot'):.0%} | {median(theirs, 'tokens_per_s'):.1f} | {record['best_peer']} |"
                   f" {record['ratio']:.2f} | {median(ours, 'read_gbps'):.1f} | {median(ours, 'dot_gops'):.0f} |")
    return "\n".join(out)


def chart(records):
    """Bars of the ratios; the line at 1 is the peer."""
    width, bar, left = 640, 26, 110
    scale = (width - left - 60) / max(1.0, *(record["ratio"] for record in records))
    height = bar * len(records) + 40
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" '
             f'font-size="13"><title>llmrt next to {PEER}: tokens a second, ratio of medians</title>'
             f'<rect width="100%" height="100%" fill="white"/>']
    for i, record in enumerate(records):
        y = 10 + i * bar
        parts.append(f'<text x="{left - 8}" y="{y + 16}" text-anchor="end">{record["test"]}</text>'
                     f'<rect x="{left}" y="{y + 3}" width="{record["ratio"] * scale:.1f}" height="{bar - 8}" fill="#3a6ea5"/>'
                     f'<text x="{left + record["ratio"] * scale + 6:.1f}" y="{y + 16}">{record["ratio"]:.2f}x</text>')
    x = left + scale
    parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="6" y2="{height - 24}" stroke="#c33"/>'
                 f'<text x="{x:.1f}" y="{height - 8}" text-anchor="middle" fill="#c33">{PEER}</text></svg>')
    return "\n".join(parts)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--artifact", required=True)
    parser.add_argument("--gguf", required=True, nargs="+", type=pathlib.Path)
    parser.add_argument("--peer-bin", required=True)
    parser.add_argument("--llmrt", default="build/release/bin/llmrt")
    parser.add_argument("--cpu-tier", help="forces llmrt's; use a peer built for the same")
    parser.add_argument("-t", "--threads", default="2")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tests", default="pp512,tg64,tg32x4,tg32x8,tg32x16,tg32x32,pp128@4096,tg32@4096")
    parser.add_argument("-o", "--output", required=True, type=pathlib.Path, help="without an ending")
    args = parser.parse_args()
    records = []
    for test in parse_tests(args.tests):
        records.append(measure(args, test))
        print(table(records[-1:]).splitlines()[-1], flush=True)
    args.output.parent.mkdir(parents=True, exist_ok=True)
    head = {"machine": platform.processor() or platform.machine(), "threads": args.threads, "rounds": args.rounds}
    args.output.with_suffix(".json").write_text(json.dumps({**head, "tests": records}, indent=1) + "\n")
    args.output.with_suffix(".md").write_text(table(records) + "\n")
    args.output.with_suffix(".svg").write_text(chart(records) + "\n")


if __name__ == "__main__":
    main()
