#!/usr/bin/env python3
"""Times llmrt beside llama.cpp, CTranslate2, OpenVINO GenAI and ONNX Runtime GenAI on this machine.

    PEERS_DIR=DIR tools/bench/peers                      # once: builds and installs the peers in DIR
    DIR/venv-tools/bin/python tools/bench/side_by_side.py --peers DIR -o docs/benchmarks/NAME [--quick] [--only MATCH...]

All sides run alone, by turns, in short rounds, and the machine's limits are measured between any two of them: the memory
of a shared machine changes its speed within minutes, so a share or a ratio is of neighbours in time. Writes NAME.json
(every sample and command), NAME.md (the table) and NAME.svg. README.md says what the rows are.
"""

import argparse
import json
import pathlib
import time

import bench_models
import plan
import report
import sides


class Hall:
    """Makes contenders by name and keeps them while a match lasts."""

    def __init__(self, args):
        self.args = args
        self.models = bench_models.Models(args.peers / "bench", args.bin / "llmc", args.peers)
        self.commands = set()

    def enter(self, name, shape):
        if name in plan.WHEELS:
            model = self.models.gguf(shape, "Q4_0") if name == "openvino" else getattr(self.models, name)(shape)
            return sides.Wheel(name, self.models.python(name), name, model, self.args.threads)
        side, _, what = name.partition(" ")
        what, _, variant = what.partition(":")
        if side == "ours":
            tier = "x86-64-v3" if variant == "avx2" else None
            return sides.Ours(name, self.args.bin / "llmrt", self.models.artifact(shape, what), self.args.threads, tier)
        bin = self.args.peer_bin_avx2 if variant == "avx2" else self.args.peer_bin
        flash, start = {"fa0": "0", "fa1": "1"}.get(variant), plan.QUICK_STARTS.get(variant, ())
        return sides.Llama(name, bin, self.models.gguf(shape, what), self.args.threads, flash, start)

    def limits(self, shape):
        return json.loads(sides.output_of([self.args.bin / "bench_limits", self.args.threads,
                                           self.models.artifact(shape, "q4_g32")]))


def play(hall, match):
    """All rounds of a match: a list of samples."""
    contenders, samples = [hall.enter(name, match.shape) for name in match.contenders], []
    try:
        for number in range(match.rounds):
            before = hall.limits(match.shape)
            for one in contenders:
                rates = one.rates(match.work) if match.work else {"first": one.first_token()}
                after = hall.limits(match.shape)
                for test, value in rates.items():
                    sample = {"match": match.name, "shape": match.shape, "test": test, "contender": one.name,
                              "round": number, "value": value,
                              **{k: (before[k] + after[k]) / 2 for k in ("read_gbps", "dot_gops")},
                              "read_changed": abs(before["read_gbps"] / after["read_gbps"] - 1)}
                    if test in getattr(one, "costs", {}):
                        sample["bytes_per_token"], sample["ops_per_token"] = one.costs[test]
                    samples.append(sample)
                    print(f"{match.shape} {test:12} {one.name:20} {value:9.2f}   read {sample['read_gbps']:5.1f} GB/s, dot "
                          f"{sample['dot_gops']:4.0f} Gop/s", flush=True)
                before = after
    finally:
        for one in contenders:
            hall.commands |= one.commands
            one.close()
    return samples


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", required=True, type=pathlib.Path,
                        help="the folder of tools/bench/peers; models go there")
    parser.add_argument("--peer-bin", type=pathlib.Path, help="llama.cpp's programs, of any build; default PEERS/native/bin")
    parser.add_argument("--peer-bin-avx2", type=pathlib.Path, help="the same for AVX2; default PEERS/avx2/bin")
    parser.add_argument("--bin", default="build/dev/bin", type=pathlib.Path, help="of llmc, llmrt and bench_limits")
    parser.add_argument("-t", "--threads", type=int, default=2)
    parser.add_argument("--shape", nargs="+", choices=bench_models.SHAPES, default=list(bench_models.SHAPES))
    parser.add_argument("--only", nargs="+", metavar="MATCH",
                        help="main, quality, wheels, streams, avx2, start, depth, deep; default all")
    parser.add_argument("--quick", action="store_true", help="one round of shorter work")
    parser.add_argument("--accuracy", default=bench_models.ROOT / "docs/benchmarks/accuracy.json", type=pathlib.Path)
    parser.add_argument("-o", "--output", required=True, type=pathlib.Path, help="without an ending")
    args = parser.parse_args()
    args.peer_bin = args.peer_bin or args.peers / "native/bin"
    args.peer_bin_avx2 = args.peer_bin_avx2 or args.peers / "avx2/bin"
    return parser, args


def main():
    parser, args = arguments()
    chosen = [match for shape in args.shape for match in plan.matches(shape, args.quick)
              if not args.only or match.name in args.only]
    if unknown := set(args.only or ()) - {match.name for match in chosen}:
        parser.error(f"no match is called {', '.join(unknown)} in the shapes chosen")
    hall, begin, samples = Hall(args), time.monotonic(), []
    for match in chosen:
        samples += play(hall, match)
        seconds = time.monotonic() - begin
        # Whatever was measured is kept should a later match fail.
        report.write(args.output, samples, hall.commands, args, seconds)
    print(f"{len(samples)} samples in {time.monotonic() - begin:.0f} s")
    print(report.row_table(samples, args.accuracy))


if __name__ == "__main__":
    main()
