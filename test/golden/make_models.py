#!/usr/bin/env python3
"""Makes test/golden/models: tiny random models of every family and config flag, and Hugging Face's logits for them.

Run with Python 3.11, torch 2.13.0 (CPU), transformers 5.23.0, safetensors 0.6, numpy 2:

    python test/golden/make_models.py [--hidden] [NAME...]

Each folder holds config.json (written by hand here, in the spelling of old or new transformers), model.safetensors
(llama-mqa: in two shards), ids.txt (a sequence a line, ids separated by commas) and logits.npy: what forward()
returns as `logits`, float32, [all ids of all lines, vocab_size]. Each sequence is run alone, by a model loaded afresh from the folder, with eager
attention in float32. Some (HIDDEN) have hidden.npy beside it: `hidden_states[-1]`, [all ids, hidden_size]; --hidden makes
that alone, from the folders as they are. Weights are drawn so that every part matters: norms are not 1, biases are not 0, attention is
not flat. The same versions give the same weights; logits may differ in the last bits between machines.
"""
import json
import pathlib
import sys
import zlib

import numpy
import torch
import transformers
from safetensors.torch import save_file

HERE = pathlib.Path(__file__).resolve().parent / "models"
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
DEFAULT_LENGTHS = [37, 5]

LLAMA = dict(architectures=["LlamaForCausalLM"], model_type="llama", vocab_size=97, hidden_size=32,
             intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, max_position_embeddings=128,
             rms_norm_eps=1e-5, hidden_act="silu", initializer_range=0.02, use_cache=True, torch_dtype="float32",
             bos_token_id=1, eos_token_id=2)
MISTRAL = dict(LLAMA, architectures=["MistralForCausalLM"], model_type="mistral", num_key_value_heads=2)
QWEN2 = dict(LLAMA, architectures=["Qwen2ForCausalLM"], model_type="qwen2", num_hidden_layers=3,
             num_key_value_heads=2, rms_norm_eps=1e-6, rope_theta=1000000.0)
QWEN3 = dict(QWEN2, architectures=["Qwen3ForCausalLM"], model_type="qwen3", num_hidden_layers=2, head_dim=16)
GPT2 = dict(architectures=["GPT2LMHeadModel"], model_type="gpt2", vocab_size=101, n_positions=64, n_ctx=64, n_embd=32,
            n_layer=2, n_head=4, n_inner=None, activation_function="gelu_new", layer_norm_epsilon=1e-5,
            initializer_range=0.02, attn_pdrop=0.1, embd_pdrop=0.1, resid_pdrop=0.1, torch_dtype="float32",
            bos_token_id=None, eos_token_id=None)
LLAMA3 = dict(factor=4.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=32)
YARN = dict(factor=4.0, original_max_position_embeddings=32)

# One of each family, one whose width is no multiple of 16, one in bfloat16.
HIDDEN = ["llama-base", "llama-head-dim", "llama-bf16", "mistral-window", "qwen2-window", "qwen3-base", "gpt2-base"]


def new_spelling(config, rope):
    """The spelling of transformers 5: dtype and rope_parameters."""
    config = dict(config, dtype=config["torch_dtype"], rope_parameters=rope)
    del config["torch_dtype"]
    config.pop("rope_theta", None)
    return config


# name -> (config, lengths of the sequences); the wide sizes (48, 172, 352) are those a group of 32 does not divide.
VARIANTS = {
    "llama-base": (LLAMA, [100, 37, 1]),
    "llama-gqa-tied": (dict(LLAMA, num_key_value_heads=2, tie_word_embeddings=True, hidden_size=48,
                            intermediate_size=172, num_hidden_layers=1), DEFAULT_LENGTHS),
    "llama-mqa": (dict(LLAMA, num_key_value_heads=1, vocab_size=130), DEFAULT_LENGTHS),
    "llama-head-dim": (dict(LLAMA, head_dim=24, num_attention_heads=3, num_key_value_heads=1, hidden_size=33,
                            num_hidden_layers=1), DEFAULT_LENGTHS),
    "llama-attention-bias": (dict(LLAMA, attention_bias=True), DEFAULT_LENGTHS),
    "llama-mlp-bias": (dict(LLAMA, mlp_bias=True, num_key_value_heads=2), DEFAULT_LENGTHS),
    "llama-gelu": (dict(LLAMA, hidden_act="gelu", pretraining_tp=2), DEFAULT_LENGTHS),
    "llama-wide": (dict(LLAMA, intermediate_size=352, num_hidden_layers=1), DEFAULT_LENGTHS),
    "llama-long": (dict(LLAMA, vocab_size=17, max_position_embeddings=1024, num_hidden_layers=1,
                        num_key_value_heads=2), [800]),
    "llama-bf16": (dict(LLAMA, torch_dtype="bfloat16", num_key_value_heads=2), DEFAULT_LENGTHS),
    "llama-f16-new": (new_spelling(dict(LLAMA, torch_dtype="float16"),
                                   dict(rope_type="default", rope_theta=5000.0)), DEFAULT_LENGTHS),
    "llama-rope-theta": (dict(LLAMA, rope_theta=500000.0, rope_scaling=None), DEFAULT_LENGTHS),
    "llama-linear": (dict(LLAMA, rope_theta=10000.0, rope_scaling=dict(type="linear", factor=2.5)), DEFAULT_LENGTHS),
    "llama-linear-new": (new_spelling(LLAMA, dict(rope_type="linear", factor=4.0, rope_theta=20000.0)),
                         DEFAULT_LENGTHS),
    "llama-llama3": (dict(LLAMA, hidden_size=64, num_attention_heads=2, rope_theta=10000.0, num_hidden_layers=1,
                          rope_scaling=dict(LLAMA3, rope_type="llama3")), [90, 20]),
    "llama-llama3-new": (new_spelling(dict(LLAMA, head_dim=16),
                                      dict(LLAMA3, rope_type="llama3", rope_theta=10000.0)), [90, 20]),
    "llama-yarn": (dict(LLAMA, head_dim=16, rope_theta=10000.0, rope_scaling=dict(YARN, type="yarn")), [90, 20]),
    "llama-yarn-new": (new_spelling(dict(LLAMA, head_dim=32, num_attention_heads=2, num_key_value_heads=2),
                                    dict(YARN, rope_type="yarn", rope_theta=10000.0, attention_factor=1.25,
                                         beta_fast=3.0, beta_slow=0.5, truncate=False)), [90, 20]),
    "llama-yarn-mscale": (dict(LLAMA, head_dim=16, rope_theta=10000.0,
                               rope_scaling=dict(YARN, rope_type="yarn", mscale=1.3, mscale_all_dim=0.7)), [90]),
    "llama-dynamic": (dict(LLAMA, max_position_embeddings=32, rope_theta=10000.0,
                           rope_scaling=dict(type="dynamic", factor=2.0)), [100, 50, 32, 7]),
    "llama-dynamic-new": (new_spelling(dict(LLAMA, max_position_embeddings=24, head_dim=16, num_key_value_heads=1),
                                       dict(rope_type="dynamic", factor=4.0, rope_theta=10000.0)), [90, 25]),
    "mistral-window": (dict(MISTRAL, sliding_window=7), [60, 5]),
    "mistral-window-wide": (dict(MISTRAL, sliding_window=21, head_dim=16, rope_theta=1000000.0), [100, 22]),
    "mistral-full": (dict(MISTRAL, sliding_window=None, tie_word_embeddings=True), DEFAULT_LENGTHS),
    "mistral-one": (dict(MISTRAL, sliding_window=1, num_hidden_layers=1), [20]),
    "qwen2-full": (dict(QWEN2, use_sliding_window=False, sliding_window=8, max_window_layers=1,
                        tie_word_embeddings=True), DEFAULT_LENGTHS),
    "qwen2-window": (dict(QWEN2, use_sliding_window=True, sliding_window=9, max_window_layers=1), [60, 9]),
    "qwen2-layer-types": (new_spelling(dict(QWEN2, use_sliding_window=True, sliding_window=18, layer_types=[
        "sliding_attention", "full_attention", "sliding_attention"]), dict(rope_type="default", rope_theta=1e6)),
        [90, 12]),
    "qwen2-yarn": (dict(QWEN2, num_hidden_layers=1, rope_theta=10000.0,
                        rope_scaling=dict(YARN, type="yarn")), [90]),
    "qwen3-base": (dict(QWEN3, tie_word_embeddings=True), DEFAULT_LENGTHS),
    "qwen3-bias": (dict(QWEN3, attention_bias=True, head_dim=8), DEFAULT_LENGTHS),
    "qwen3-window": (new_spelling(dict(QWEN3, use_sliding_window=True, sliding_window=11, max_window_layers=1),
                                  dict(rope_type="default", rope_theta=1e6)), [60, 11]),
    "qwen3-layer-types": (dict(QWEN3, use_sliding_window=True, sliding_window=17, layer_types=[
        "sliding_attention", "full_attention"], hidden_act="relu"), [50]),
    "gpt2-base": (GPT2, [64, 37, 3]),
    "gpt2-untied": (dict(GPT2, tie_word_embeddings=False, n_embd=48, n_head=3, n_layer=1), DEFAULT_LENGTHS),
    "gpt2-inner": (dict(GPT2, n_inner=172, layer_norm_epsilon=1e-2, n_layer=1, tie_word_embeddings=False), DEFAULT_LENGTHS),
    "gpt2-no-scale": (dict(GPT2, scale_attn_weights=False), DEFAULT_LENGTHS),
    "gpt2-layer-scale": (dict(GPT2, scale_attn_by_inverse_layer_idx=True, n_layer=3), DEFAULT_LENGTHS),
    "gpt2-reorder": (dict(GPT2, reorder_and_upcast_attn=True, scale_attn_by_inverse_layer_idx=True), DEFAULT_LENGTHS),
}
for activation in ("gelu", "relu", "silu", "tanh", "gelu_pytorch_tanh", "gelu_fast", "quick_gelu", "relu2",
                   "sigmoid"):
    VARIANTS["gpt2-" + activation.replace("_", "-")] = (
        dict(GPT2, activation_function=activation, n_layer=1, n_inner=48, n_positions=40,
             tie_word_embeddings=False), [20])


def draw(name, shape, generator):
    """A tensor's values by what it is for: norms about 1, biases and positions small, matrices of gain about 1."""
    values = torch.randn(shape, generator=generator)
    if len(shape) == 1:
        return 1 + 0.3 * values if name.endswith("weight") else 0.3 * values
    if "embed_tokens" in name or "wte" in name or "wpe" in name:
        return values if "wpe" not in name else 0.5 * values
    fan_in = shape[0] if ".c_" in name else shape[1]  # Conv1D is stored [in, out]
    return 1.3 * values / fan_in**0.5


def save(tensors, folder, sharded):
    if not sharded:
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
        return
    names = sorted(tensors)
    shards = {"model-00001-of-00002.safetensors": names[::2], "model-00002-of-00002.safetensors": names[1::2]}
    for file, keys in shards.items():
        save_file({k: tensors[k] for k in keys}, folder / file, metadata={"format": "pt"})
    index = dict(metadata=dict(total_size=sum(t.numel() * t.element_size() for t in tensors.values())),
                 weight_map={k: file for file, keys in shards.items() for k in keys})
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=1, sort_keys=True) + "\n")


def load(folder):
    """Afresh for each sequence: dynamic rope keeps the longest length it has seen."""
    return transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32,
                                                             attn_implementation="eager").eval()


def make_hidden(name):
    folder = HERE / name
    rows = []
    for line in (folder / "ids.txt").read_text().splitlines():
        sequence = torch.tensor([int(i) for i in line.split(",")])
        with torch.no_grad():
            rows.append(load(folder)(sequence[None], output_hidden_states=True).hidden_states[-1][0].float().numpy())
    hidden = numpy.concatenate(rows).astype("<f4")
    assert numpy.isfinite(hidden).all()
    numpy.save(folder / "hidden.npy", hidden)


def make(name, config, lengths):
    folder = HERE / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    seed = zlib.crc32(name.encode())
    generator = torch.Generator().manual_seed(seed)

    parsed = transformers.AutoConfig.from_pretrained(folder)
    empty = transformers.AutoModelForCausalLM.from_config(parsed, dtype=torch.float32)
    dtype = DTYPES[config.get("dtype") or config["torch_dtype"]]
    tensors = {}
    for key, value in sorted(empty.state_dict().items()):
        if key == "lm_head.weight" and parsed.tie_word_embeddings:
            continue
        tensors[key] = draw(key, tuple(value.shape), generator).to(dtype).contiguous()
    save(tensors, folder, sharded=name == "llama-mqa")

    sequences = [torch.randint(0, config["vocab_size"], (n,), generator=generator) for n in lengths]
    (folder / "ids.txt").write_text("".join(",".join(map(str, s.tolist())) + "\n" for s in sequences))
    rows = []
    for sequence in sequences:
        with torch.no_grad():
            rows.append(load(folder)(sequence[None]).logits[0].float().numpy())
    logits = numpy.concatenate(rows).astype("<f4")
    assert numpy.isfinite(logits).all()
    numpy.save(folder / "logits.npy", logits)
    if name in HIDDEN:
        make_hidden(name)
    size = sum(f.stat().st_size for f in folder.iterdir())
    print(f"{name:24} {size:8} bytes, {logits.shape[0]:4} rows, largest logit {abs(logits).max():.2f}")


def main():
    names = [name for name in sys.argv[1:] if name != "--hidden"]
    if "--hidden" in sys.argv:
        for name in names or HIDDEN:
            make_hidden(name)
        return
    for name in names or list(VARIANTS):
        make(name, *VARIANTS[name])
    versions = dict(torch=torch.__version__, transformers=transformers.__version__, numpy=numpy.__version__)
    (HERE / "made_with.json").write_text(json.dumps(versions, indent=2) + "\n")


if __name__ == "__main__":
    main()
