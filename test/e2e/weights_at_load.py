#!/usr/bin/env python3
"""llmc compile --weights random:SEED --weights-at-load: an artifact without weight bytes has the logits of the full one,
bit for bit, in every scheme and element type and over every way a family's tensors become weights; its hashes hold; it
runs in the memory that --print-memory says; and where it cannot be had, that is said by name."""
import json
import resource
import subprocess

import programs

MODELS = programs.ROOT / "test" / "models"
GOLDEN = programs.ROOT / "test" / "golden" / "models"
SCHEMES = ("q4_g32", "q4_g64", "q4_g128", "q8_g32", "q8_g128", "q4a_g32")
# Fused, gated, transposed and tied tensors, biases that some have and some lack, norms with something added.
FAMILIES = ("gpt2-base", "llama-base", "llama-bf16", "mistral-window", "qwen2-window", "qwen3-base")


class Suite:
    def __init__(self, options, work, tally):
        self.options, self.work, self.tally = options, work, tally

    def compile(self, model, name, *flags):
        artifact = self.work / name
        tier = ["--cpu-tier", self.options.tiers or "native"]
        programs.run(self.options.llmc, "compile", model, "-o", artifact, "-q", "--weights", "random:11", *tier, *flags)
        return artifact

    def logits(self, artifact, *flags):
        out = self.work / "logits.npy"
        programs.run(self.options.llmrt, "logits", artifact, "--ids", "1,2,3,5,8,13,21,34", "-o", out, *flags)
        return out.read_bytes()

    def pair(self, model, *flags):
        return self.compile(model, "full.fbs", *flags), self.compile(model, "empty.fbs", "--weights-at-load", *flags)

    def check_same(self, model, *flags):
        full, empty = self.pair(model, *flags)
        same = self.logits(full) == self.logits(empty, "--threads", 3)
        self.tally.check(same, f"{model.name} {' '.join(flags)}: other logits than the full artifact's")
        said = json.loads(programs.run(self.options.llmrt, "inspect", full, "--json"))
        weights = next(s for s in said["segments"] if s["kind"] == "weights")
        said = json.loads(programs.run(self.options.llmrt, "inspect", empty, "--json"))
        made = next(s for s in said["segments"] if s["kind"] == "random_weights")
        self.tally.check(made["sha256"] == weights["sha256"] and made["bytes"] == weights["bytes"] and
                         said["weight_bytes"] == 0 and said["random_seed"] == 11,
                         f"{model.name} {' '.join(flags)}: inspect says {made}, {weights}")
        self.tally.check(full.stat().st_size - empty.stat().st_size > 0.7 * weights["bytes"],
                         f"{model.name}: the file has its weights")
        return empty

    def check_hashes(self, empty):
        said = programs.run(self.options.llmc, "verify", empty)
        self.tally.check("its weights are not in it, and come out as their hashes say" in said, f"verify: {said}")
        self.tally.check(self.logits(empty, "--verify-weights") == self.logits(empty), "--verify-weights changes logits")

        said = programs.run(self.options.llmrt, "verify", empty)
        self.tally.check(": good" in said, f"llmrt verify: {said}")

    def check_memory(self, empty):
        """The weights are private memory, and all of it is counted."""
        said = json.loads(programs.run(self.options.llmrt, "run", empty, "--print-memory", "--json", "--threads", 2))
        weights = json.loads(programs.run(self.options.llmrt, "inspect", empty, "--json"))["random_weight_bytes"]
        self.tally.check("1 * made_weights" in said["formula"] and said["symbols"]["made_weights"] == weights,
                         f"--print-memory: {said}")
        limit = said["private_bytes"]
        done = subprocess.run([*self.options.llmrt.split(), "run", str(empty), "--ids", "1,2,3", "--max-tokens", "4",
                               "--ignore-eos", "--print-ids", "--threads", "2", "-q"], capture_output=True, text=True,
                              preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (limit, limit)))
        self.tally.check(done.returncode == 0, f"under RLIMIT_DATA {limit}: {done.stderr}")

    def check_refusals(self):
        for flags, what in ((["--weights-at-load"], "--weights-at-load goes with --weights random:SEED"),
                            (["--weights", "random:1", "--weights-at-load", "--compile-to", "exec"], "does not go")):
            done = subprocess.run([*self.options.llmc.split(), "compile", str(MODELS / "stories260k"), "-o",
                                   str(self.work / "none.fbs"), *flags], capture_output=True, text=True)
            self.tally.check(done.returncode == 2 and what in done.stderr,
                             f"{flags}: exit code {done.returncode}: {done.stderr}")


def main():
    options = programs.arguments(__doc__).parse_args()
    work, tally = programs.work_folder(options), programs.Tally()
    suite = Suite(options, work, tally)
    for family in FAMILIES:
        suite.check_same(GOLDEN / family)
    for dtype in ("float32", "bfloat16", "float16"):
        suite.check_same(MODELS / "stories260k", "--dtype", dtype)
    for scheme in SCHEMES:
        empty = suite.check_same(MODELS / "stories260k", "--quantization", scheme)
    suite.check_hashes(empty)
    suite.check_memory(empty)
    suite.check_refusals()
    tally.finish()


if __name__ == "__main__":
    main()
