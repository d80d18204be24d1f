#!/usr/bin/env python3
"""The self-test at load, on a compiled model: kernels that are right pass it everywhere; one with an error gives way to
another tier, or to the CPU, once and with a word about it; where nothing is left it is an error. Errors are planted in
the machine code, the SPIR-V and the PTX of an artifact. Vulkan is tried where this machine has it, CUDA on the tests'
libcuda."""
import ctypes
import json
import os
import subprocess

import programs

MODEL = programs.ROOT / "test" / "models" / "stories260k"
GOLDEN = programs.ROOT / "test" / "golden"
MAX_GOLDEN_BYTES = 200 * 1024


class Suite:
    def __init__(self, options, work, tally):
        self.options, self.work, self.tally = options, work, tally
        reference = json.loads((GOLDEN / "reference_greedy.json").read_text())["stories260K"]
        self.prompt = reference["prompt_ids"]
        self.expected = reference["ids"][len(self.prompt):][:8]

    def compile(self, name, target, *flags):
        artifact = self.work / name
        programs.run(self.options.llmc, "compile", MODEL, "-o", artifact, "-q", "--target", target, *flags)
        return artifact

    def planted(self, artifact, where, kernel):
        bad = self.work / f"bad-{where}.fbs"
        subprocess.run([self.options.plant, artifact, bad, where, kernel], check=True)
        return bad

    def ids(self, artifact, device, *flags):
        """The exit code, the ids, and what was said of the self-test."""
        done = subprocess.run([self.options.llmrt, "run", artifact, "--ids", ",".join(map(str, self.prompt)),
                               "--max-tokens", "8", "--temperature", "0", "--ignore-eos", "--print-ids", "--device",
                               device, *flags], capture_output=True, text=True)
        said = [line for line in done.stderr.splitlines() if "self-test" in line]
        ids = [int(x) for x in done.stdout.split()[-1].split(",")] if done.returncode == 0 else done.stderr
        return done.returncode, ids, said

    def expect(self, what, found, code, right, *texts, tiers=1):
        """`right`: the reference's ids come out; `texts`: of the last line about the self-test, if there is to be one. Of
        several `tiers` that are tried each has a line."""
        ok = found[0] == code and (code != 0 or (found[1] == self.expected) == right)
        ok = ok and len(found[2]) == (tiers if texts else 0) and all(text in found[2][-1] for text in texts)
        ok = ok and all("trying the artifact's next tier" in line for line in found[2][:-1])
        print(f"{what:60} {'ok' if ok else 'FAILED'}", flush=True)
        self.tally.check(ok, f"{what}: {found}")

    def check_cpu(self, tiers):
        artifact = self.compile("cpu.fbs", "cpu", *(flag for tier in tiers for flag in ("--cpu-tier", tier)))
        self.expect("kernels that are right", self.ids(artifact, "cpu"), 0, True)
        best = tiers[-1]
        for kernel in ("rms_norm", "linear", "attention", "embed", "rope", "cache_write"):
            bad = self.planted(artifact, best, kernel)
            named = f"kernel {kernel}"
            if len(tiers) > 1:
                self.expect(f"{best}: {kernel} gives way to {tiers[-2]}", self.ids(bad, "cpu"), 0, True, f"tier {best}: {named}",
                            "trying the artifact's next tier")
            self.expect(f"{best}, by name", self.ids(bad, "cpu", "--cpu-tier", best), 1, False, named, "--no-self-test")
        bad = self.planted(artifact, "cpu", "rms_norm")
        found = self.ids(bad, "cpu", "-q")
        self.expect("every tier", found, 1, False, f"tier {tiers[0]}: kernel rms_norm", "failed its self-test")
        self.expect("every tier, --no-self-test", self.ids(bad, "cpu", "--no-self-test"), 0, False)

    def check_gpu(self, device):
        both = self.compile("both.fbs", f"cpu,{device}", "--cpu-tier", "x86-64-v3")
        # A model of f32 has Vulkan's first tier and one with subgroups, which this machine's device runs or not.
        tiers = 2 if ": tier spirv1.3-storage16-dot-subgroup;" in programs.run(self.options.llmrt, "inspect", both) else 1
        self.expect(f"{device}: kernels that are right", self.ids(both, device), 0, True)
        for kernel in ("attention", "rms_norm"):
            bad = self.planted(both, device, kernel)
            self.expect(f"{device}: {kernel} gives way to the CPU", self.ids(bad, device), 0, True, f"kernel {kernel}",
                        "using the CPU instead", tiers=tiers)
        self.expect(f"{device}, --no-self-test", self.ids(bad, device, "--no-self-test"), 0, False)
        alone = self.planted(self.compile("alone.fbs", device), device, "rms_norm")
        self.expect(f"{device} alone", self.ids(alone, device), 1, False, f"--device {device}", "kernel rms_norm",
                    tiers=tiers)

    def check_vulkan_tiers(self):
        """A better tier gives way to the plainest, where the device runs it."""
        artifact = self.compile("tiers.fbs", "vulkan", "--kv-cache-dtype", "f16")
        better = "spirv1.3-storage16-dot-subgroup"
        if f"tier {better}" not in programs.run(self.options.llmrt, "inspect", artifact):
            print(f"{better} is not tried: this machine's device does not run it", flush=True)
            return
        bad, said = self.planted(artifact, better, "rms_norm"), f"tier {better}: kernel rms_norm"
        self.expect(f"{better} gives way", self.ids(bad, "vulkan"), 0, True, said, "trying the artifact's next tier")
        self.expect(f"{better}, by name", self.ids(bad, "vulkan", "--gpu-tier", better), 1, False, said)
        self.expect("spirv1.3, by name", self.ids(bad, "vulkan", "--gpu-tier", "spirv1.3"), 0, True)

    def check_size(self):
        for flags in ((), ("--quantization", "q4_g32"), ("--quantization", "q8_g32", "--activations", "bf16")):
            artifact = self.compile("size.fbs", "cpu", *flags)
            report = json.loads(programs.run(self.options.llmrt, "inspect", artifact, "--json"))
            count, size = report["golden_vectors"], report["golden_bytes"]
            print(f"{' '.join(flags) or 'f32'}: {count} golden vectors, {size} bytes", flush=True)
            self.tally.check(count > 0 and size <= MAX_GOLDEN_BYTES, f"golden vectors of {flags}: {count}, {size} bytes")


def main():
    parser = programs.arguments(__doc__)
    parser.add_argument("--plant", required=True, help="the program plant_error")
    parser.add_argument("--fake", required=True, help="the folder of the tests' libcuda")
    options = parser.parse_args()
    suite = Suite(options, programs.work_folder(options), programs.Tally())
    suite.check_size()
    suite.check_cpu(programs.machine_tiers()[-2:])
    try:
        ctypes.CDLL("libvulkan.so.1")
        suite.check_gpu("vulkan")
        suite.check_vulkan_tiers()
    except OSError:
        print("Vulkan is not tried: this machine has no libvulkan", flush=True)
    os.environ["LD_LIBRARY_PATH"] = options.fake
    suite.check_gpu("cuda")
    suite.tally.finish()


if __name__ == "__main__":
    main()
