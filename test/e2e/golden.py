#!/usr/bin/env python3
"""Compiled models against Hugging Face's answers: test/golden/models (logits of every family and config flag, within
1e-4 of the largest), nano-gpt-sort's logits, greedy ids and mean negative log-likelihoods of the two small Llamas."""
import json
import math
import re

import npy
import programs

GOLDEN = programs.ROOT / "test" / "golden"
MODELS = programs.ROOT / "test" / "models"


def compile_model(options, folder, work, *flags):
    artifact = work / (folder.name + "-".join(["", *flags]).replace("/", "_") + ".fbs")
    tiers = ["--cpu-tier", options.tiers or "native"]
    programs.run(options.llmc, "compile", folder, "-o", artifact, "-q", *tiers, *flags)
    return artifact


def largest_difference(actual, expected):
    scale = max(abs(x) for x in expected)
    return max((abs(a - b) if a == a else float("inf")) for a, b in zip(actual, expected)) / scale


def check_models(options, work, tally):
    for folder in sorted(p for p in (GOLDEN / "models").iterdir() if p.is_dir()):
        if options.only and not re.search(options.only, folder.name):
            continue
        artifact, out = compile_model(options, folder, work, "--dtype", "float32"), work / "logits.npy"
        programs.run(options.llmrt, "logits", artifact, "--batch", folder / "ids.txt", "-o", out)
        (shape, expected), (got, actual) = npy.read(folder / "logits.npy"), npy.read(out)
        error = largest_difference(actual, expected) if shape == got else float("inf")
        print(f"{folder.name:28} {error:.1e}", flush=True)
        tally.check(error <= 1e-4, f"{folder.name}: shape {got} for {shape}, relative error {error:.2e}")


def check_sort(options, work, tally):
    artifact, out = compile_model(options, MODELS / "nano-gpt-sort", work), work / "sort.npy"
    reference = json.loads((MODELS / "nano-gpt-sort" / "reference_logits.json").read_text())
    for ids, expected in zip(reference["input_ids"], reference["logits"]):
        programs.run(options.llmrt, "logits", artifact, "--ids", ",".join(map(str, ids)), "-o", out)
        error = max(abs(a - b) for a, b in zip(npy.read(out)[1], (x for row in expected for x in row)))
        tally.check(error <= 1e-4, f"nano-gpt-sort {ids}: {error:.2e}")


def mean_nll(options, artifact, stories, work):
    texts = (GOLDEN / "tinystories_20.jsonl").read_text().splitlines()[:stories]
    (work / "stories.jsonl").write_text("\n".join(texts) + "\n")
    return json.loads(programs.run(options.llmrt, "perplexity", artifact, "-f", work / "stories.jsonl", "--jsonl",
                                   "--max-tokens", 256, "--json", "-q"))


def check_llamas(options, work, tally):
    references = json.loads((GOLDEN / "reference_greedy.json").read_text())
    for name, key in (("stories260k", "stories260K"), ("babyllama105", "babyllama105")):
        reference = references[key]
        prompt, ids = reference["prompt_ids"], reference["ids"]
        artifact = compile_model(options, MODELS / name, work)
        said = programs.run(options.llmrt, "run", artifact, "--ids", ",".join(map(str, prompt)), "--max-tokens",
                            len(ids) - len(prompt), "--temperature", 0, "--ignore-eos", "--print-ids")
        new = [int(x) for x in said.strip().splitlines()[-1].split(",")]
        tally.check(prompt + new == ids, f"{name}: greedy ids differ: {new} for {ids[len(prompt):]}")
        nll = reference["tinystories_nll"]
        for scheme, tolerance in (("none", 0.001), ("q8_g32", 0.01), ("q4_g32", None), ("q4_g128", None)):
            if scheme != "none":
                artifact = compile_model(options, MODELS / name, work, "--quantization", scheme)
            score = mean_nll(options, artifact, nll["stories"], work)
            print(f"{name} {scheme}: mean NLL {score['mean_nll']:.5f} over {score['tokens']} tokens, reference "
                  f"{nll['mean_nll']}", flush=True)
            tally.check(score["tokens"] == nll["tokens"], f"{name} {scheme}: {score['tokens']} tokens scored")
            if tolerance:
                tally.check(abs(score["mean_nll"] - nll["mean_nll"]) <= tolerance,
                            f"{name} {scheme}: mean NLL {score['mean_nll']} for {nll['mean_nll']}")


def depth(folder):
    """Linears that follow one another: four a layer and the head."""
    config = json.loads((folder / "config.json").read_text())
    return 4 * config.get("num_hidden_layers", config.get("n_layer")) + 1


def check_bf16(options, work, tally):
    """Inputs rounded to bf16 against inputs as they are, of the same weights. A rounding is off by 2^-9 at most, in each
    value; to first order the roundings of linears that follow one another add up."""
    ids, out = work / "ids.txt", work / "logits.npy"
    for folder, sequences in quantized_models():
        ids.write_text("".join(",".join(map(str, row)) + "\n" for row in sequences))
        for weights in (["q8_g32"], ["q4_g128"], ["q4a_g32"], ["none", "--dtype", "bfloat16"]):
            rows = []
            for activations in ("float", "bf16"):
                artifact = compile_model(options, folder, work, "--activations", activations, "--kv-cache-dtype", "f32",
                                         "--quantization", *weights)
                programs.run(options.llmrt, "logits", artifact, "--batch", ids, "-o", out)
                artifact.unlink()
                rows.append(npy.read(out)[1])
            error = math.dist(*rows) / math.hypot(*rows[0])
            bound = depth(folder) * 2**-9
            print(f"{folder.name:24} {weights[0]:8} bf16 inputs {error:.4f} of {bound:.4f}", flush=True)
            tally.check(0 < error <= bound, f"{folder.name} {weights[0]}: bf16 inputs are off by {error}, more than {bound}")


SCHEMES = ("q8_g32", "q8_g128", "q4_g32", "q4_g64", "q4_g128", "q4a_g32")
FAMILIES = ("llama-wide", "mistral-window", "qwen2-window", "qwen3-base", "gpt2-base")


def quantized_models():
    """Folder, name and the file of ids: the small Llamas over what they are compared on, a model of each family."""
    references = json.loads((GOLDEN / "reference_greedy.json").read_text())
    for name, key in (("stories260k", "stories260K"), ("babyllama105", "babyllama105")):
        yield MODELS / name, [references[key]["ids"]]
    for name in FAMILIES:
        lines = (GOLDEN / "models" / name / "ids.txt").read_text().splitlines()
        yield GOLDEN / "models" / name, [[int(x) for x in line.replace(",", " ").split()] for line in lines]


def report_quantized(options, work, tally):
    """Prints, for each model and scheme, |logits - logits of f32| / |logits of f32|, Euclidean norms over all rows. The two
    Llamas are trained; the weights of the families' models are random."""
    print(f"{'relative error to f32':24}" + "".join(f"{scheme:>10}" for scheme in SCHEMES), flush=True)
    for folder, sequences in quantized_models():
        ids, out = work / "ids.txt", work / "logits.npy"
        ids.write_text("".join(",".join(map(str, row)) + "\n" for row in sequences))

        def logits(*flags):
            artifact = compile_model(options, folder, work, "--dtype", "float32", *flags)
            programs.run(options.llmrt, "logits", artifact, "--batch", ids, "-o", out)
            artifact.unlink()
            return npy.read(out)[1]

        exact = logits()
        norm = math.sqrt(sum(x * x for x in exact))
        errors = [math.dist(logits("--quantization", scheme), exact) / norm for scheme in SCHEMES]
        print(f"{folder.name:24}" + "".join(f"{error:10.4f}" for error in errors), flush=True)
        tally.check(0 < errors[0] < errors[2] < 1, f"{folder.name}: q8_g32 {errors[0]} is not closer than q4_g32 {errors[2]}")


def main():
    parser = programs.arguments(__doc__)
    parser.add_argument("--only", help="a regular expression on the golden models' names; nothing else is checked")
    parser.add_argument("--llamas", action="store_true", help="with --only: the two small Llamas too")
    parser.add_argument("--bf16", action="store_true", help="with --only: bf16 activations too")
    parser.add_argument("--quantized", action="store_true", help="the relative error of each scheme and nothing else")
    options = parser.parse_args()
    work, tally = programs.work_folder(options), programs.Tally()
    if options.quantized:
        report_quantized(options, work, tally)
        tally.finish()
    check_models(options, work, tally)
    if options.bf16 or not options.only:
        check_bf16(options, work, tally)
    if not options.only:
        check_sort(options, work, tally)
    if options.llamas or not options.only:
        check_llamas(options, work, tally)
    tally.finish()


if __name__ == "__main__":
    main()
