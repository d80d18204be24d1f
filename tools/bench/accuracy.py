#!/usr/bin/env python3
"""What each quantization scheme costs in accuracy, ours beside ggml's, on the same weights.

    PEERS_DIR=DIR tools/bench/peers tools native round
    DIR/venv-tools/bin/python tools/bench/accuracy.py --peers DIR -o docs/benchmarks/accuracy

Against the model in f32 (transformers): the logits' relative error (Euclidean norms) and the mean KL divergence of the
next token's distribution; for the trained models the mean negative log-likelihood of 20 stories too. Three ways:
  weights   rounded by the scheme's own code and put back into the f32 model, on both sides
  and acts  the same with the inputs of linear layers rounded as the engine rounds them (int8: ours a scale for every 128
            values, Q4_0 and Q8_0 for every 32, Q4_K for every 256)
  engine    the logits of llmrt and of llama.cpp themselves, f32 KV cache; llama.cpp cannot store the small trained
            models in these types (their columns are not multiples of the block: rounding.py), the others it can
Writes NAME.json (ratios and means: what NAME.md shows, the random models of a shape taken together; models: each alone).
"""

import argparse
import json
import pathlib
import subprocess
import tempfile

import numpy as np
import torch
import transformers

import accuracy_models
import gguf_file
import rounding
from kl_ratio import kl_ratio

ACTIVATIONS = ["32", "64", "128", "256", "token"]
COMPARED = [("q4_g32", "q4_0"), ("q4a_g32", "q4_K"), ("q8_g32", "q8_0"), ("q8_g128", "q8_0")]
QUANTIZE = {"q4_0": "Q4_0", "q4_K": "Q4_K_S", "q8_0": "Q8_0"}  # as llama-quantize calls them


class Model:
    """A folder's model in f32, its sequences, and the exact logits."""

    def __init__(self, name, folder, sequences):
        self.name, self.folder, self.sequences = name, folder, sequences
        self.net = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        self.tied = self.net.config.tie_word_embeddings
        self.linears = {n: m for n, m in self.net.named_modules() if isinstance(m, torch.nn.Linear)}
        self.original = {n: m.weight for n, m in self.linears.items()}
        self.exact = self.logits()

    def logits(self):
        with torch.no_grad():
            return torch.cat([self.net(torch.tensor([ids])).logits[0] for ids in self.sequences]).double()

    def rounded_logits(self, rounder, scheme, activations):
        """`scheme` None keeps the weights. A tied embedding is rounded with the head, as all sides keep one copy."""
        act = rounding.activations(activations)
        hooks = [m.register_forward_pre_hook(lambda _, inputs: (act(inputs[0]),)) for m in self.linears.values()]
        for name, module in self.linears.items():
            if scheme:
                rounded = torch.nn.Parameter(rounder.weights(scheme, (self.name, name), self.original[name]))
                module.weight = rounded
                if self.tied and module is self.net.get_output_embeddings():
                    self.net.get_input_embeddings().weight = rounded
        try:
            return self.logits()
        finally:
            for hook in hooks:
                hook.remove()
            for name, module in self.linears.items():
                module.weight = self.original[name]
            if self.tied:
                self.net.get_input_embeddings().weight = self.net.get_output_embeddings().weight

    def score(self, logits):
        exact, other = self.exact.log_softmax(-1), logits.log_softmax(-1)
        out = {"relative_error": float((logits - self.exact).norm() / self.exact.norm()),
               "kl": float((exact.exp() * (exact - other)).sum(-1).mean())}
        if self.name in accuracy_models.TRAINED:
            out["nll"] = self.nll(other)
        return out

    def nll(self, log_probabilities):
        at, found = 0, []
        for ids in self.sequences:
            rows = log_probabilities[at:at + len(ids) - 1]
            found.append(-rows.gather(-1, torch.tensor(ids[1:])[:, None])[:, 0])
            at += len(ids)
        return float(torch.cat(found).mean())


def our_engine(args, model, scheme, work):
    artifact, ids, out = work / "model.fbs", work / "ids.txt", work / "logits.npy"
    ids.write_text("".join(",".join(map(str, row)) + "\n" for row in model.sequences))
    subprocess.run([args.llmc, "compile", model.folder, "--quantization", scheme.name, "--dtype", "float32", "--cpu-tier",
                    "native", "-q", "-o", artifact], check=True)
    subprocess.run([args.llmrt, "logits", artifact, "--batch", ids, "-o", out, "-q"], check=True)
    return torch.from_numpy(np.load(out)).double()


def their_engine(args, model, scheme, work):
    whole, packed = work / "whole.gguf", work / "packed.gguf"
    if not whole.exists():
        gguf_file.convert(model.folder, whole, np.float32)
    keep = [] if model.tied else ["--token-embedding-type", "f32"]  # llmc leaves an untied embedding as it is
    subprocess.run([args.peers / "native/bin/llama-quantize", "--pure", *keep, whole, packed, QUANTIZE[scheme.name], "2"],
                   check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    lines = "".join(",".join(map(str, row)) + "\n" for row in model.sequences)
    done = subprocess.run([args.peers / "bin/llama_logits", packed], input=lines.encode(), stdout=subprocess.PIPE,
                          check=True)
    return torch.from_numpy(np.frombuffer(done.stdout, np.float32).reshape(model.exact.shape).copy()).double()


def measure(args, model, rounder):
    record = {"model": model.name, "exact": model.score(model.exact), "schemes": [], "activations": []}
    with tempfile.TemporaryDirectory() as work:
        for scheme in rounding.SCHEMES:
            row = {"scheme": scheme.name, "bits": scheme.bits, "ours": scheme.ours,
                   "weights": model.score(model.rounded_logits(rounder, scheme, "none")),
                   "and_acts": model.score(model.rounded_logits(rounder, scheme, scheme.activations))}
            if scheme.ours or model.name not in accuracy_models.TRAINED:
                engine = our_engine if scheme.ours else their_engine
                row["engine"] = model.score(engine(args, model, scheme, pathlib.Path(work)))
            record["schemes"].append(row)
            print(model.name, json.dumps(row), flush=True)
    for name in [None, "q4_g32"]:
        scheme = next((s for s in rounding.SCHEMES if s.name == name), None)
        for activations in ACTIVATIONS:
            row = {"weights": name or "f32", "activations": activations,
                   **model.score(model.rounded_logits(rounder, scheme, activations))}
            record["activations"].append(row)
    return record


def mean_of(values):
    """The same structure with the mean of every number, and the first of everything else."""
    first = values[0]
    if isinstance(first, dict):
        return {key: mean_of([value[key] for value in values]) for key in first}
    if isinstance(first, list):
        return [mean_of(list(items)) for items in zip(*values, strict=True)]
    return sum(values) / len(values) if isinstance(first, float) else first


def means(records):
    shapes = {}
    for record in records:
        name = record["model"]
        shapes.setdefault(name if name in accuracy_models.TRAINED else name.rpartition("-")[0], []).append(record)
    return [{**mean_of(those), "model": shape, "models": len(those)} for shape, those in shapes.items()]


def ratio_table(ratios):
    out = ["| ours | next to | KL, geometric mean over the models | models where it is no more |", "|---|---|---|---|"]
    return "\n".join(out + [f"| {r['ours']} | {r['theirs']} | {r['ratio']:.3f} ± {r['error']:.3f} | {r['no_worse']} of "
                            f"{r['models']} |" for r in ratios]) + "\n"


def scheme_table(record):
    trained = "nll" in record["exact"]
    out = [f"### {record['model']}" + (f", mean of {record['models']} models" if record["models"] > 1 else "") +
           (f": mean NLL in f32 {record['exact']['nll']:.5f}" if trained else ""), "",
           "| scheme | bits | KL: weights | and acts | engine | relative error: weights | and acts | engine |" +
           (" NLL: weights | and acts | engine |" if trained else ""),
           "|---|---|---|---|---|---|---|---|" + "---|---|---|" * trained]
    for row in record["schemes"]:
        cells = [row["scheme"], f"{row['bits']:g}"]
        for key, form in (("kl", "{:.5f}"), ("relative_error", "{:.4f}"), *([("nll", "{:.5f}")] if trained else [])):
            cells += [form.format(row[way][key]) if way in row else "" for way in ("weights", "and_acts", "engine")]
        out.append("| " + " | ".join(cells) + " |")
    return "\n".join(out) + "\n"


def activation_table(records):
    out = ["| model | weights | " + " | ".join(ACTIVATIONS) + " |", "|---|---|" + "---|" * len(ACTIVATIONS)]
    for record in records:
        for weights in ("f32", "q4_g32"):
            rows = {row["activations"]: row for row in record["activations"] if row["weights"] == weights}
            out.append(f"| {record['model']} | {weights} | " +
                       " | ".join(f"{rows[a]['kl']:.5f} ({rows[a]['relative_error']:.4f})" for a in ACTIVATIONS) + " |")
    return "\n".join(out) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", required=True, type=pathlib.Path)
    parser.add_argument("--bin", default="build/dev/bin", type=pathlib.Path, help="of llmc, llmrt and round_weights")
    parser.add_argument("--model", nargs="+", metavar="NAME", default=accuracy_models.names())
    parser.add_argument("-t", "--threads", type=int, default=2)
    parser.add_argument("-o", "--output", required=True, type=pathlib.Path, help="without an ending")
    args = parser.parse_args()
    args.llmc, args.llmrt = args.bin / "llmc", args.bin / "llmrt"
    torch.set_num_threads(args.threads)
    rounder = rounding.Rounder(args.bin / "round_weights", args.peers / "bin/ggml_round")
    records = []
    for name in args.model:
        folder, sequences = accuracy_models.load(name, args.peers / "models", args.llmc)
        records.append(measure(args, Model(name, folder, sequences), rounder))
    together = means(records)
    ratios = [kl_ratio(records, *pair) for pair in COMPARED]
    args.output.parent.mkdir(parents=True, exist_ok=True)
    args.output.with_suffix(".json").write_text(json.dumps({"ratios": ratios, "means": together, "models": records}, indent=1) + "\n")
    args.output.with_suffix(".md").write_text(
        "### KL of ours over theirs, weights and activations rounded\n\n" + ratio_table(ratios) + "\n" +
        "\n".join(map(scheme_table, together)) + "\n### Columns that share an activation scale: KL (relative error)\n\n" +
        activation_table(together))


if __name__ == "__main__":
    main()
