#!/usr/bin/env python3
"""Every kernel for CUDA under NVIDIA's assembler, without a GPU: accepted for every chip that has what it needs, no register
spilled, no stack; what each takes of registers and shared memory is printed. The PTX multiplies and adds without
contraction, as SPIR-V does; that for chips with matrix units multiplies bf16 on them, that for chip 9.0 alone on a
warpgroup's, and that for all chips does not.
Where there is no ptxas only the text is looked at, and that is said."""
import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import subprocess

import programs

MODELS = programs.ROOT / "test" / "models"
GOLDEN = programs.ROOT / "test" / "golden" / "models"
CHIPS = ["sm_75", "sm_80", "sm_86", "sm_89", "sm_90a", "sm_100a", "sm_120a"]
# Models and flags that together have every kind of kernel in every scheme and type. With bf16 activations there is the
# PTX of chip 9.0 too.
MATRICES = ("--activations", "bf16", "--gpu-arch", "compute_90a")
CONFIGURATIONS = [
    (MODELS / "stories260k", ()),
    (MODELS / "stories260k", ("--quantization", "q8_g32", "--kv-cache-dtype", "f16")),
    (MODELS / "stories260k", ("--quantization", "q4_g32", "--kv-cache-dtype", "bf16")),
    (MODELS / "stories260k", ("--quantization", "q4_g128")),
    (MODELS / "stories260k", ("--quantization", "q4a_g32")),
    (MODELS / "stories260k", ("--quantization", "q4a_g32", "--activations", "int8")),
    (MODELS / "stories260k", ("--quantization", "q8_g32", "--activations", "int8")),
    (MODELS / "stories260k", ("--quantization", "q4_g32", *MATRICES)),
    (MODELS / "stories260k", ("--quantization", "q4_g128", *MATRICES)),
    (MODELS / "stories260k", ("--quantization", "q4a_g32", *MATRICES)),
    (MODELS / "stories260k", ("--quantization", "q8_g32", *MATRICES)),
    (GOLDEN / "llama-bf16", MATRICES),
    (GOLDEN / "gpt2-base", ("--dtype", "bfloat16", *MATRICES)),
    (GOLDEN / "llama-bf16", ()),
    (GOLDEN / "llama-base", ("--dtype", "float16", "--kv-cache-dtype", "f16")),
    (GOLDEN / "gpt2-base", ()),
    (GOLDEN / "gpt2-quick-gelu", ()),
    (GOLDEN / "mistral-window", ()),
    (GOLDEN / "qwen2-window", ()),
    (GOLDEN / "qwen3-base", ()),
    (GOLDEN / "llama-yarn-new", ()),
]
USED = re.compile(r"Used (\d+) registers")
SHARED = re.compile(r"(\d+) bytes smem")
SPILLS = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")
FLOAT = re.compile(r"^\s*(add|sub|mul|fma|div|rcp|sqrt|mad)\.([a-z.]*)f(?:32|64)\b", re.M)


def find_ptxas():
    home = pathlib.Path(os.environ.get("CUDA_HOME", "/usr/local/cuda")) / "bin" / "ptxas"
    return shutil.which("ptxas") or (str(home) if home.exists() else None)


def number(chip):
    return int(chip.removeprefix("sm_").rstrip("a"))


def tier_of(module):
    """Of a dumped module's name, compute_75."""
    return module.name.split(".")[1]


def multiplies(module):
    """It is a linear on bf16."""
    kernel = module.name.split(".")[2]
    return kernel.startswith("linear") and "_bf16" in kernel


def runs(module, chip):
    """Code for compute_75 runs on the chips from sm_75 on, for compute_90a on sm_90a alone."""
    tier = tier_of(module).removeprefix("compute_")
    return chip == f"sm_{tier}" if tier.endswith("a") else number(chip) >= int(tier)


# What a linear on bf16 multiplies with: the instruction of each tier, and on which chips it is tried.
PRODUCTS = {"compute_80": ("mma.sync.aligned.m16n8k16", "matrix units", CHIPS[1:]),
            "compute_90a": ("wgmma.mma_async.sync.aligned.m64n64k16", "a warpgroup's", ["sm_90a"])}


class Suite:
    def __init__(self, options, work, tally):
        self.options, self.work, self.tally = options, work, tally
        self.modules = {}  # by text: its name

    def dump(self, name, *arguments):
        artifact, folder = self.work / f"{name}.fbs", self.work / name
        programs.run(self.options.llmc, "compile", *arguments, "-o", artifact, "-q", "--target", "cuda")
        shutil.rmtree(folder, ignore_errors=True)
        programs.run(self.options.llmrt, "inspect", artifact, "--dump-kernels", folder)
        return artifact, sorted(folder.iterdir())

    def collect(self):
        for i, (model, flags) in enumerate(CONFIGURATIONS):
            _, files = self.dump(f"c{i}", model, *flags)
            for file in files:
                self.tally.check(file.suffix == ".ptx", f"{file.name}: PTX alone was asked for")
                text = file.read_text()
                if tier_of(file) != "compute_90a" or multiplies(file):  # its others are compute_80's
                    self.modules.setdefault(text, file)
        print(f"{len(self.modules)} modules", flush=True)

    def check_text(self, text, module):
        loose = [match.group(0).strip() for match in FLOAT.finditer(text) if not match.group(2).startswith("rn.")]
        self.tally.check(not loose, f"{module.name}: arithmetic that may be fused or approximate: {loose[:3]}")
        for word in ("call", ".ftz", "approx", ".local", "__nv_"):
            self.tally.check(word not in text, f"{module.name}: has '{word}'")
        for tier, (product, _, _) in PRODUCTS.items():
            self.tally.check((product in text) == (multiplies(module) and tier_of(module) == tier), f"{module.name}: {product}")
            self.tally.check(text.count(product) % 2 == 0, f"{module.name}: half a chain")

    def assemble(self, ptxas, module, chip):
        done = subprocess.run([ptxas, "-v", f"-arch={chip}", "-fmad=false", "-o", os.devnull, str(module)],
                              capture_output=True, text=True)
        spills, used, shared = (pattern.search(done.stderr) for pattern in (SPILLS, USED, SHARED))
        if done.returncode or not spills or not used:
            return f"{module.name} for {chip}: {done.stdout}{done.stderr}", 0, 0
        if "serialized" in done.stdout + done.stderr:  # products of a warpgroup, one at a time
            return f"{module.name} for {chip}: {done.stdout}{done.stderr}", int(used.group(1)), 0
        spilled = any(map(int, spills.groups()))
        return spilled and f"{module.name} for {chip}: {spills.group(0)}", int(used.group(1)), \
            int(shared.group(1)) if shared else 0

    def check_chips(self, ptxas):
        jobs = [(module, chip) for module in self.modules.values() for chip in CHIPS
                if runs(module, chip)]
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            results = list(pool.map(lambda job: self.assemble(ptxas, *job), jobs))
        kinds = {}
        for (module, chip), (problem, registers, shared) in zip(jobs, results):
            self.tally.check(not problem, problem)
            kind = module.name.split(".")[2].split("_")[0]
            text = module.read_text()
            kind += "".join(f" on {units}" for product, units, _ in PRODUCTS.values() if product in text)
            most = kinds.setdefault(kind, {}).setdefault(chip, [0, 0, 0])
            kinds[kind][chip] = [most[0] + 1, max(most[1], registers), max(most[2], shared)]
        print(f"{'modules, most registers/bytes shared':38}" + "".join(f"{chip:>12}" for chip in CHIPS))
        for kind, chips in sorted(kinds.items()):
            wanted = next((set(of) for _, units, of in PRODUCTS.values() if kind.endswith(units)), set(CHIPS))
            self.tally.check(set(chips) == wanted, f"{kind}: for {set(chips)}, not {wanted}")
            print(f"{kind:38}" + "".join(f"{n:>3} {r:>3}/{s:<4}" for n, r, s in (chips.get(chip, (0, 0, 0)) for chip in CHIPS)))
        print(f"{len(results)} times accepted by ptxas", flush=True)

    def check_cubins(self, ptxas):
        """In an artifact: one segment a chip beside the PTX, the same bytes each time, the weights once."""
        flags = ["--gpu-arch", "sm_90a,sm_80", "--quantization", "q4_g32"]
        artifact, files = self.dump("cubins", MODELS / "stories260k", *flags)
        again, _ = self.dump("again", MODELS / "stories260k", *flags)
        self.tally.check(artifact.read_bytes() == again.read_bytes(), "two compiles give different bytes")
        count = {}
        for file in files:
            kind = file.name.split(".")[1] + file.suffix
            count[kind] = count.get(kind, 0) + 1
        self.tally.check(set(count) == {"compute_75.ptx", "sm_80.cubin", "sm_90a.cubin"} and len(set(count.values())) == 1,
                         f"kernels by kind: {count}")
        for file in files:
            magic = file.read_bytes()[:4]
            self.tally.check((magic == b"\x7fELF") == (file.suffix == ".cubin"), f"{file.name} begins with {magic}")

    def check_without_ptxas(self):
        """Said once, and PTX is there; the other targets of the artifact are not touched."""
        done = subprocess.run([self.options.llmc, "compile", str(MODELS / "stories260k"), "-o", str(self.work / "n.fbs"),
                               "--target", "cpu,cuda,vulkan", "--cpu-tier", "x86-64-v3", "--gpu-arch", "sm_90a,sm_80"],
                              capture_output=True, text=True, env={**os.environ, "PATH": "/nowhere", "CUDA_HOME": "/nowhere"})
        self.tally.check(done.returncode == 0 and done.stderr.count("there is no ptxas") == 1, done.stderr)
        said = json.loads(programs.run(self.options.llmrt, "inspect", self.work / "n.fbs", "--json"))
        tiers = ["x86-64-v3", "spirv1.3", "spirv1.3-storage16-dot-subgroup", "compute_75"]
        self.tally.check(said["tiers"] == tiers and len(said["targets"]) == 3, str(said["tiers"]))
        weights = [part for part in said["segments"] if part["kind"] == "weights"]
        self.tally.check(len(weights) == 1, f"{len(weights)} segments of weights")


def main():
    options = programs.arguments(__doc__).parse_args()
    work, tally = programs.work_folder(options), programs.Tally()
    suite = Suite(options, work, tally)
    suite.collect()
    for text, module in suite.modules.items():
        suite.check_text(text, module)
    suite.check_without_ptxas()
    ptxas = find_ptxas()
    if ptxas:
        print(subprocess.run([ptxas, "--version"], capture_output=True, text=True).stdout.splitlines()[-1])
        suite.check_chips(ptxas)
        suite.check_cubins(ptxas)
    else:
        print("there is no ptxas in PATH or $CUDA_HOME/bin: only the text of the PTX is checked")
    tally.finish()


if __name__ == "__main__":
    main()
