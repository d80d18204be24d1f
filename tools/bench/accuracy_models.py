"""The models accuracy is measured on: small trained ones, and random ones with planted outlier channels."""

import json
import pathlib
import subprocess

import numpy as np
import safetensors.torch
import tokenizers
import torch

ROOT = pathlib.Path(__file__).resolve().parents[2]
TRAINED = ["stories260k", "babyllama105"]
SEEDS = 8
STORY_TOKENS = 256  # of each story, as in test/golden/reference_greedy.json

# All columns are multiples of 256, so that every type of ggml's can store them.
SHAPES = {
    "llama-outliers": dict(model_type="llama", architectures=["LlamaForCausalLM"], hidden_size=768, intermediate_size=2048,
                           num_hidden_layers=3, num_attention_heads=12, num_key_value_heads=4, head_dim=64),
    "qwen3-outliers": dict(model_type="qwen3", architectures=["Qwen3ForCausalLM"], hidden_size=512, intermediate_size=1536,
                           num_hidden_layers=4, num_attention_heads=4, num_key_value_heads=2, head_dim=128,
                           attention_bias=False, use_sliding_window=False),
}
COMMON = dict(hidden_act="silu", initializer_range=0.02, max_position_embeddings=2048, rms_norm_eps=1e-5,
              rope_theta=10000.0, tie_word_embeddings=False, vocab_size=4096, bos_token_id=1, eos_token_id=2,
              torch_dtype="float32")
# One channel in 96 is an outlier, 4 to 16 times as large as the others: of the norms' gains, and of what v and up make, so
# that every linear layer has inputs with outliers.
OUTLIER_EVERY, OUTLIER_LEAST, OUTLIER_MOST = 96, 4, 16
SEQUENCES = (6, 96)
LOGIT_DEVIATION = 2.5  # as peaked as a trained model's


def names():
    return TRAINED + [f"{shape}-{seed + 1}" for shape in SHAPES for seed in range(SEEDS)]


def stories(folder):
    """Sequences of ids of the 20 stories, special tokens included."""
    tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    lines = (ROOT / "test/golden/tinystories_20.jsonl").read_text().splitlines()
    return [tokenizer.encode(json.loads(line)).ids[:STORY_TOKENS] for line in lines]


def plant(tensors, config, seed):
    """Scales outlier channels in place: of every norm, and of the rows that v and up make."""
    rng = np.random.default_rng(seed)

    def outliers(channels):
        gain = np.ones(channels, np.float32)
        chosen = rng.choice(channels, max(1, channels // OUTLIER_EVERY), replace=False)
        gain[chosen] = rng.uniform(OUTLIER_LEAST, OUTLIER_MOST, len(chosen))
        return torch.from_numpy(gain)

    for name in sorted(tensors):
        value = tensors[name]
        if name.endswith(("layernorm.weight", "model.norm.weight")):
            tensors[name] = value * outliers(len(value))
        elif name.endswith(("v_proj.weight", "up_proj.weight")):
            tensors[name] = value * outliers(len(value))[:, None]
    last = tensors["model.norm.weight"]
    tensors["model.norm.weight"] = last * (LOGIT_DEVIATION / (config["initializer_range"] * last.norm()))


def make_random(name, folder, llmc):
    """Writes FOLDER/NAME, a Hugging Face folder: llmc's random weights with outliers planted; returns it and its ids.
    NAME is a shape's with a seed behind it: one model's error is partly chance."""
    shape, _, seed = name.rpartition("-")
    out, seed, config = folder / name, int(seed), {**COMMON, **SHAPES[shape]}
    out.mkdir(parents=True, exist_ok=True)
    if not (out / "model.safetensors").exists():
        (folder / f"{name}.json").write_text(json.dumps(config))
        plain = folder / f"{name}-plain"
        subprocess.run([llmc, "export-weights", folder / f"{name}.json", "--weights", f"random:{seed}", "-o", plain],
                       check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        tensors = safetensors.torch.load_file(plain / "model.safetensors")
        plant(tensors, config, seed)
        (out / "config.json").write_text(json.dumps(config))
        safetensors.torch.save_file({k: v.contiguous() for k, v in tensors.items()}, out / "model.safetensors",
                                    metadata={"format": "pt"})
    rng = np.random.default_rng(seed + 1)
    return out, rng.integers(3, config["vocab_size"], SEQUENCES).tolist()


def load(name, work, llmc):
    """(folder, sequences of ids)"""
    if name in TRAINED:
        folder = ROOT / "test/models" / name
        return folder, stories(folder)
    return make_random(name, work, llmc)
