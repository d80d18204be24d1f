#!/usr/bin/env python3
"""The table of linear kernels from what bench_kernels measured, in as many files as it took:

    build/dev/bin/bench_kernels --benchmark_filter='int8/q4_g32/14336x4096/.*' --benchmark_repetitions=3 \\
        --benchmark_out_format=json --benchmark_out=PART.json
    tools/bench/linear_table.py PART.json... [--json ALL.json]

A cell is billions of operations a second and, in parentheses, their share: of the read up to four tokens, of the peak of
the dot product beyond. Of repetitions the median counts, of those between two samples of that limit within 10% of each
other, if there are such."""
import argparse
import collections
import json
import pathlib
import statistics

TOKENS = (1, 2, 4, 8, 16, 64, 512)
MOST_OF_READ = 4  # tokens at which the read is what bounds


def load(paths):
    """{(inputs, weights, shape, threads): {tokens: {counter: median}}}"""
    runs = collections.defaultdict(lambda: collections.defaultdict(list))
    for path in paths:
        for run in json.loads(path.read_text())["benchmarks"]:
            if run["run_type"] != "iteration":
                continue
            inputs, weights, shape, tokens, threads = run["run_name"].split("/")[:5]
            key = (inputs, weights, shape, int(threads.removesuffix("s").removesuffix("thread")))
            runs[key][int(tokens)].append(run)
    return {key: {tokens: figures(own, tokens) for tokens, own in sorted(rows.items())} for key, rows in runs.items()}


def figures(repetitions, tokens):
    limit = "read" if tokens <= MOST_OF_READ else "dot"
    steady = [run for run in repetitions if run[limit + "_changed"] <= 0.1] or repetitions
    return {"repetitions": len(steady),
            **{name: statistics.median(run[name] for run in steady) for name in ("GOPS", "of_dot", "of_read")}}


def cell(row, tokens):
    if row is None:
        return "-"
    share = row["of_read"] if tokens <= MOST_OF_READ else row["of_dot"]
    return f"{row['GOPS']:.0f} ({100 * share:.0f}%)"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=pathlib.Path)
    parser.add_argument("--json", type=pathlib.Path, help="all rows as one list")
    options = parser.parse_args()
    measured = load(options.files)
    print("| inputs | weights | shape | threads | " + " | ".join(map(str, TOKENS)) + " |")
    print("|---" * (4 + len(TOKENS)) + "|")
    for (inputs, weights, shape, threads), rows in measured.items():
        cells = " | ".join(cell(rows.get(tokens), tokens) for tokens in TOKENS)
        print(f"| {inputs} | {weights} | {shape.replace('x', ' x ')} | {threads} | {cells} |")
    if options.json:
        rows = [{"inputs": inputs, "weights": weights, "shape": shape, "threads": threads, "tokens": tokens,
                 **{name: round(value, 4) for name, value in row.items()}}
                for (inputs, weights, shape, threads), own in measured.items() for tokens, row in own.items()]
        options.json.write_text("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n")


if __name__ == "__main__":
    main()
