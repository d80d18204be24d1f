#!/usr/bin/env python3
"""One artifact on every device that it has code for and this machine has, by turns: tokens a second, and shares of what the
CPU's cores read and multiply (lavapipe runs on those too).

    tools/bench/devices.py [--shape 1b] [--devices cpu,vulkan] [--rounds 2] [--work DIR] -o docs/benchmarks/devices"""

import argparse
import json
import pathlib
import statistics
import subprocess
import tempfile

from bench_models import config_of


def bench(llmrt, artifact, device, options):
    done = subprocess.run([llmrt, "bench", artifact, "--device", device, "-t", options.threads, "-p", options.prompt, "-n",
                           options.tokens, "-s", options.streams, "-r", "1", "-q", "--json"], check=True, text=True,
                          stdout=subprocess.PIPE)
    return json.loads(done.stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default="build/dev/bin", type=pathlib.Path)
    parser.add_argument("--shape", default="1b")
    parser.add_argument("--devices", default="cpu,vulkan")
    parser.add_argument("--quantization", default="q4_g32")
    parser.add_argument("--rounds", type=int, default=2)
    for name, value in (("threads", "2"), ("prompt", "64"), ("tokens", "8"), ("streams", "1,8")):
        parser.add_argument(f"--{name}", default=value)
    parser.add_argument("--work", type=pathlib.Path, help="where the artifact is written for the moment")
    parser.add_argument("-o", "--output", required=True, type=pathlib.Path, help="without an ending")
    options = parser.parse_args()
    devices, runs = options.devices.split(","), []
    with tempfile.TemporaryDirectory(dir=options.work) as folder:
        config, artifact = pathlib.Path(folder, "config.json"), pathlib.Path(folder, "model.fbs")
        config.write_text(json.dumps(config_of(options.shape)))
        subprocess.run([options.bin / "llmc", "compile", config, "--weights", "random:1", "--quantization",
                        options.quantization, "--target", options.devices, "-q", "-o", artifact], check=True)
        for _ in range(options.rounds):
            runs += [{"device": device, **bench(options.bin / "llmrt", artifact, device, options)} for device in devices]
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.with_suffix(".json").write_text(json.dumps(runs, indent=1) + "\n")
    lines = [f"The {options.shape} shape, {options.quantization}, {options.threads} threads, one artifact; medians of "
             f"{options.rounds} rounds by turns.\n",
             "| test | streams | device | tokens a second | of the read | of the dot peak |", "|---|---|---|---|---|---|"]
    for i, row in enumerate(runs[0]["results"]):
        for device in devices:
            own = [run["results"][i] for run in runs if run["device"] == device]
            middle = lambda key: statistics.median(result[key] for result in own)
            lines.append(f"| {row['test']} | {row['streams']} | {device} | {middle('tokens_per_s'):.3g} | "
                         f"{middle('fraction_of_read'):.0%} | {middle('fraction_of_dot_peak'):.0%} |")
    options.output.with_suffix(".md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
