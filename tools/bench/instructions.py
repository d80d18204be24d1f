#!/usr/bin/env python3
"""What the linear kernels of each CPU tier cost by llvm-mca: compiles a small model for the tiers, takes the linear kernels
apart, and prints for the innermost loop with the fewest instructions a multiply-add those instructions, and the cycles that
llvm-mca sees for them, for each 1,024 multiply-adds. Nothing runs: tiers of other machines are compared too.

    tools/bench/instructions.py [--quantization q4_g32 ...] [--rows r16] -o docs/benchmarks/instructions"""
import argparse
import collections
import json
import pathlib
import re
import subprocess
import tempfile

# Tier: the CPU whose ports llvm-mca knows, the products of an instruction, the multiply-adds of one.
TIERS = {
    "x86-64-v3": ("znver4", {"vpmaddubsw": 32, "vfmadd": 8}),
    "x86-64-v3-vnni": ("alderlake", {"vpdpbusd": 32, "vfmadd": 8}),
    "x86-64-v4": ("znver4", {"vpmaddubsw": 64, "vfmadd": 16}),
    "x86-64-v4-vnni": ("znver4", {"vpdpbusd": 64, "vfmadd": 16}),
    "x86-64-v4-vnni-bf16": ("znver4", {"vpdpbusd": 64, "vdpbf16ps": 32}),
    "arm64": ("neoverse-n1", {"smull": 8, "smlal": 8, "fmla": 4}),
    "arm64-dotprod": ("neoverse-n1", {"sdot": 16, "fmla": 4}),
    "arm64-i8mm": ("neoverse-v1", {"smmla": 32, "fmla": 4}),
}
CONFIG = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 64, "hidden_size": 256,
          "intermediate_size": 512, "num_hidden_layers": 1, "num_attention_heads": 4, "num_key_value_heads": 2,
          "max_position_embeddings": 128, "rms_norm_eps": 1e-5, "hidden_act": "silu", "torch_dtype": "float32",
          "tie_word_embeddings": False}


def run(*command, **options):
    return subprocess.run([str(x) for x in command], check=True, text=True, capture_output=True, **options).stdout


def disassemble(path):
    """[(address, text)] of the one function that a dumped object names."""
    lines = []
    symbols = run("llvm-nm-22", "-S", "--defined-only", path).split() # address, size, type, name
    first, size = int(symbols[0], 16), int(symbols[1], 16)
    for line in run("llvm-objdump-22", "-d", "--no-show-raw-insn", "--x86-asm-syntax=att", f"--start-address={first}",
                    f"--stop-address={first + size}", path).splitlines():
        found = re.match(r"\s*([0-9a-f]+):\s+(\S.*)$", line)
        if found:
            # LLVM writes how an instruction is encoded where another one has its name.
            text = re.split(r"\s# |//", found[2])[0].strip().removeprefix("{vex}").strip()
            lines.append((int(found[1], 16), text))
    return lines


def loops(lines):
    """Bodies of loops without a loop inside, as lists of instructions: from the target of a jump back to the jump."""
    places = {address: i for i, (address, _) in enumerate(lines)}
    spans = []
    for i, (address, text) in enumerate(lines):
        found = re.match(r"(?:j\w+|b\.?\w*|cbn?z|tbn?z)\s+(?:\S+,\s*)*(?:0x)?([0-9a-f]+)\b", text)
        if found and int(found[1], 16) <= address and int(found[1], 16) in places:
            spans.append((places[int(found[1], 16)], i))
    for first, last in spans:
        if not any(first <= a and b <= last and (a, b) != (first, last) for a, b in spans):
            yield [text for _, text in lines[first:last]]


def products(body, weights):
    """Multiply-adds of a body by the instruction that does most of them."""
    counts = collections.Counter()
    for text in body:
        for name, each in weights.items():
            if text.startswith(name):
                counts[name] += each
    return max(counts.values(), default=0)


def cycles(body, architecture, cpu):
    triple = "x86_64" if architecture.startswith("x86") else "aarch64"
    flags = ["-mtriple=" + triple, "-mcpu=" + cpu, "-iterations=100"]
    # A jump's or an address's target is a number here, which the assembler does not take.
    kept = [re.sub(r"<[^>]*>", "", line) for line in body if not re.match(r"j|b\b|b\.|cb|tb|adr", line)]
    out = run("llvm-mca-22", *flags, input="\n".join(kept) + "\n")
    return float(re.search(r"Total Cycles:\s+(\d+)", out)[1]) / 100


def measure(options, scheme, tier, work):
    artifact, kernels = work / f"{tier}.fbs", work / f"{tier}-{scheme}"
    run(options.bin / "llmc", "compile", work / "model", "--weights", "random:1", "--quantization", scheme,
        "--activations", options.activations, "--cpu-tier", tier, "-o", artifact, "-q")
    run(options.bin / "llmc", "inspect", artifact, "--dump-kernels", kernels)
    cpu, weights = TIERS[tier]
    found = []
    for path in sorted(kernels.iterdir()):
        if "linear" not in path.name or not re.search(options.rows, path.name):
            continue
        for body in loops(disassemble(path)):
            count = products(body, weights)
            if count:
                found.append((count, body))
    # Loops for a few rows of a rest do little, and take more for it.
    count, body = min(found, key=lambda loop: len(loop[1]) / loop[0])
    return {"scheme": scheme, "tier": tier, "cpu": cpu, "instructions": len(body) * 1024 / count,
            "cycles": cycles(body, tier, cpu) * 1024 / count, "multiply_adds": count, "loop": len(body)}


def table(rows):
    lines = ["| scheme | tier | llvm-mca's CPU | instructions | cycles | multiply-adds a cycle |",
             "|---|---|---|---|---|---|"]
    lines += [f"| {row['scheme']} | {row['tier']} | {row['cpu']} | {row['instructions']:.1f} | {row['cycles']:.1f} | "
              f"{1024 / row['cycles']:.0f} |" for row in rows]
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default="build/dev/bin", type=pathlib.Path)
    parser.add_argument("--quantization", nargs="+", default=["q4_g32", "q4_g128", "q8_g128"])
    parser.add_argument("--activations", default="int8")
    parser.add_argument("--rows", default="r16", help="a regular expression on the dumped kernels' names")
    parser.add_argument("-o", "--output", type=pathlib.Path, required=True, help="without an ending")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        (work / "model").mkdir()
        (work / "model" / "config.json").write_text(json.dumps(CONFIG))
        rows = [measure(options, scheme, tier, work) for scheme in options.quantization for tier in TIERS]
    head = (f"The innermost loop of the linear kernels for 16 rows and more, {options.activations} activations: instructions"
            " and llvm-mca's cycles\nfor each 1,024 multiply-adds. Made by `tools/bench/instructions.py -o"
            f" {options.output}`.\n\n")
    options.output.with_suffix(".md").write_text(head + table(rows))
    options.output.with_suffix(".json").write_text(json.dumps(rows, indent=1) + "\n")
    print(table(rows), end="")


if __name__ == "__main__":
    main()
