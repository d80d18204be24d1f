#!/usr/bin/env python3
"""What `llmc compile` takes: the shapes with made-up weights, and a checkpoint beside the speed at which its files are read.

    tools/bench/compile_times.py [--checkpoint FOLDER] [--shape 1b 8b] [--work DIR] -o docs/benchmarks/compile

Made-up weights are drawn, rounded, packed, written and hashed. From a checkpoint, files are read instead of drawn; they are
read once before, so that the page cache has them if it can, and that speed is what the share is of."""

import argparse
import json
import pathlib
import subprocess
import tempfile
import time

from bench_models import config_of


def compile_once(llmc, model, work, *flags):
    out = work / "model.fbs"
    done = subprocess.run([llmc, "compile", model, *flags, "--json", "-q", "-o", out], check=True, text=True,
                          capture_output=True)
    out.unlink()
    return json.loads(done.stdout)


def read_all(folder):
    """Bytes of a folder's weights, and the seconds that reading them takes."""
    start, total = time.monotonic(), 0
    for path in sorted(folder.glob("*.safetensors")):
        with path.open("rb", buffering=0) as file:
            buffer = bytearray(1 << 20)
            while count := file.readinto(buffer):
                total += count
    return total, time.monotonic() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default="build/dev/bin", type=pathlib.Path)
    parser.add_argument("--shape", nargs="*", default=["1b", "8b"])
    parser.add_argument("--checkpoint", type=pathlib.Path)
    parser.add_argument("--quantization", default="q4_g32")
    parser.add_argument("--work", type=pathlib.Path, help="where artifacts are written for the moment")
    parser.add_argument("-o", "--output", required=True, type=pathlib.Path, help="without an ending")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory(dir=options.work) as folder:
        work = pathlib.Path(folder)
        for shape in options.shape:
            config = work / "config.json"
            config.write_text(json.dumps(config_of(shape)))
            found = compile_once(options.bin / "llmc", config, work, "--weights", "random:1", "--quantization",
                                 options.quantization)
            rows.append({"what": f"{shape} shape, made-up weights", **found})
        if options.checkpoint:
            read_all(options.checkpoint)
            size, seconds = read_all(options.checkpoint)
            found = compile_once(options.bin / "llmc", options.checkpoint, work, "--quantization", options.quantization)
            rows.append({"what": f"checkpoint of {size / 1e9:.2f} GB", **found, "read_gbps": size / seconds / 1e9,
                         "compile_gbps": size / found["seconds"] / 1e9})
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.with_suffix(".json").write_text(json.dumps(rows, indent=1) + "\n")
    lines = [f"`llmc compile --quantization {options.quantization}`, its default tiers, two cores.\n",
             "| what | seconds | artifact, MB | writable data at the peak, MB | of the checkpoint, GB/s (reading alone) |",
             "|---|---|---|---|---|"]
    for row in rows:
        speed = f"{row['compile_gbps']:.2f} ({row['read_gbps']:.2f})" if "read_gbps" in row else ""
        lines.append(f"| {row['what']} | {row['seconds']:.1f} | {row['bytes'] / 1e6:.0f} | "
                     f"{row['peak_data_bytes'] / 1e6:.0f} | {speed} |")
    options.output.with_suffix(".md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
