"""Writes GGUF files: a Hugging Face folder as it is, and a quantized file with its layers repeated.

    gguf_file.py convert FOLDER OUT.gguf [--type f32|f16]
    gguf_file.py repeat  IN.gguf OUT.gguf --layers N
    gguf_file.py tokenizer FOLDER tokenizer.json          the same vocabulary in Hugging Face's form

For the families llama, qwen2 and qwen3. `repeat` makes a large file for timing out of a small one: how fast a layer runs
does not depend on its values. The vocabulary is made up: a token for each byte (so that n letters are n tokens), filler,
and the config's special tokens.
"""

import argparse
import json
import pathlib
import re

import gguf
import numpy as np
import safetensors

LAYER = {
    "input_layernorm": "attn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output", "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm", "post_attention_layernorm": "ffn_norm", "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
}
TOP = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}
ARCHITECTURES = {"llama", "qwen2", "qwen3"}
SPECIAL = ["<|begin|>", "<|end|>"]


def gguf_name(name):
    stem, kind = name.rsplit(".", 1)
    layer = re.match(r"model\.layers\.(\d+)\.(.*)", stem)
    return f"blk.{layer[1]}.{LAYER[layer[2]]}.{kind}" if layer else f"{TOP[stem]}.{kind}"


def interleaved(rows, heads):
    """llama's rope in ggml turns neighbours, in Hugging Face's order channels half a head apart."""
    return rows.reshape(heads, 2, -1, *rows.shape[1:]).swapaxes(1, 2).reshape(rows.shape)


def head_size(config):
    return config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]


def vocabulary(config):
    """(tokens, kinds, merges) of a byte-level BPE of the config's size; special ids are control tokens."""
    size = config["vocab_size"]
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [b for b in range(256) if b not in printable]
    tokens = [chr(b) for b in printable] + [chr(256 + i) for i in range(len(others))]  # byte-level BPE's letters
    merges = ["h e", "i n"]
    tokens += [merge.replace(" ", "") for merge in merges]
    tokens = (tokens + [f"Ġfiller{i}" for i in range(size)])[:size]
    kinds = [gguf.TokenType.NORMAL] * size
    for id, text in zip(special_ids(config), SPECIAL):
        tokens[id], kinds[id] = text, gguf.TokenType.CONTROL
    return tokens, kinds, merges


def special_ids(config):
    return [ids[0] if isinstance(ids, list) else ids for ids in (config["bos_token_id"], config["eos_token_id"])]


def add_vocabulary(writer, config):
    tokens, kinds, merges = vocabulary(config)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("llama-bpe")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges(merges)
    writer.add_bos_token_id(special_ids(config)[0])
    writer.add_eos_token_id(special_ids(config)[1])
    writer.add_add_bos_token(False)


def add_config(writer, config):
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_key_length(head_size(config))
    writer.add_value_length(head_size(config))
    writer.add_rope_dimension_count(head_size(config))
    writer.add_rope_freq_base(config["rope_theta"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_vocab_size(config["vocab_size"])


def convert(folder, out, element):
    config = json.loads((folder / "config.json").read_text())
    if config["model_type"] not in ARCHITECTURES:
        raise SystemExit(f"{folder}: no converter for {config['model_type']}; there are {sorted(ARCHITECTURES)}")
    heads = {"q_proj": config["num_attention_heads"], "k_proj": config["num_key_value_heads"]}
    writer = gguf.GGUFWriter(out, config["model_type"])
    add_config(writer, config)
    add_vocabulary(writer, config)
    with safetensors.safe_open(folder / "model.safetensors", "pt") as source:
        for name in sorted(source.keys()):
            if name == "lm_head.weight" and config.get("tie_word_embeddings"):
                continue
            values = source.get_tensor(name).float().numpy()
            if config["model_type"] == "llama" and name.split(".")[-2] in heads:
                values = interleaved(values, heads[name.split(".")[-2]])
            writer.add_tensor(gguf_name(name), values.astype(element if values.ndim == 2 else np.float32))
    finish(writer)


def write_tokenizer(folder, out):
    import tokenizers  # the other verbs do without
    config = json.loads((folder / "config.json").read_text())
    tokens, _, merges = vocabulary(config)
    bpe = tokenizers.models.BPE({text: id for id, text in enumerate(tokens)}, [tuple(m.split(" ")) for m in merges])
    tokenizer = tokenizers.Tokenizer(bpe)
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    tokenizer.add_special_tokens(SPECIAL)
    tokenizer.save(str(out))
    (out.parent / "tokenizer_config.json").write_text(json.dumps({
        "tokenizer_class": "PreTrainedTokenizerFast", "bos_token": SPECIAL[0], "eos_token": SPECIAL[1]}))


def finish(writer):
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def repeated(name, have, layers):
    """The names under which a tensor of the small file stands in the large one."""
    layer = re.match(r"blk\.(\d+)\.(.*)", name)
    return [f"blk.{i}.{layer[2]}" for i in range(int(layer[1]), layers, have)] if layer else [name]


def repeat(source, out, layers):
    reader = gguf.GGUFReader(source)
    architecture = reader.fields["general.architecture"].contents()
    have = reader.fields[f"{architecture}.block_count"].contents()
    writer = gguf.GGUFWriter(out, architecture)
    for field in reader.fields.values():
        if field.name.startswith("GGUF.") or field.name == "general.architecture":
            continue
        value = layers if field.name.endswith(".block_count") else field.contents()
        writer.add_key_value(field.name, value, field.types[0], field.types[-1] if len(field.types) > 1 else None)
    for tensor in reader.tensors:
        for name in repeated(tensor.name, have, layers):
            writer.add_tensor(name, tensor.data, raw_dtype=tensor.tensor_type)
    finish(writer)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["convert", "repeat", "tokenizer"])
    parser.add_argument("source", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--type", choices=["f32", "f16"], default="f32")
    parser.add_argument("--layers", type=int)
    args = parser.parse_args()
    if args.what == "convert":
        convert(args.source, args.out, {"f32": np.float32, "f16": np.float16}[args.type])
    elif args.what == "tokenizer":
        write_tokenizer(args.source, args.out)
    elif args.layers:
        repeat(args.source, args.out, args.layers)
    else:
        parser.error("repeat needs --layers")


if __name__ == "__main__":
    main()
