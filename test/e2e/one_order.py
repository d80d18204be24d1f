#!/usr/bin/env python3
"""One reduction order: the logits of a request are the same bits alone, in a batch of 16 others, with its prompt in
chunks, after preemption, from the prefix cache, with any number of threads, and on every tier, for contexts over three
attention segments (256 keys each), over random schedules, for every type of keys and values."""
import json
import random

import npy
import programs

VOCABULARY = 89
LENGTH = 800  # over three segments
MODEL = {
    "architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "vocab_size": VOCABULARY, "hidden_size": 96,
    "intermediate_size": 172, "num_hidden_layers": 2, "num_attention_heads": 6, "num_key_value_heads": 2,
    "max_position_embeddings": 1024, "rms_norm_eps": 1e-6, "hidden_act": "silu", "initializer_range": 0.2,
    "rope_theta": 10000.0, "torch_dtype": "float32", "tie_word_embeddings": False,
    "use_sliding_window": True, "sliding_window": 300, "max_window_layers": 1,
}


class Schedule:
    """Runs `llmrt logits` and keeps the rows of the sequence that is watched."""

    def __init__(self, options, artifact, work):
        self.options, self.artifact, self.work = options, artifact, work

    def rows(self, sequences, watched, *flags):
        batch, out = self.work / "batch.txt", self.work / "order.npy"
        batch.write_text("".join(",".join(map(str, ids)) + "\n" for ids in sequences))
        programs.run(self.options.llmrt, "logits", self.artifact, "--batch", batch, "-o", out, *flags)
        _, values = npy.read(out)
        first = sum(len(ids) for ids in sequences[:watched])
        return values[first * VOCABULARY:(first + len(sequences[watched])) * VOCABULARY]


def check(options, artifact, work, tally, generator, tier, quick):
    schedule = Schedule(options, artifact, work)
    ids = [generator.randrange(VOCABULARY) for _ in range(LENGTH)]
    force = ["--device", tier] if tier == "vulkan" else ["--cpu-tier", tier]
    alone = schedule.rows([ids], 0, "-t", 1, *force)

    def same(what, sequences, watched, *flags):
        rows = schedule.rows(sequences, watched, *flags, *force)
        differing = [i for i, (a, b) in enumerate(zip(rows, alone)) if a != b]
        tally.check(len(rows) == len(alone) and not differing,
                    f"{artifact.stem} {tier}: {what}: {len(differing)} values differ, the first in row "
                    f"{differing[0] // VOCABULARY if differing else '-'}")

    for threads in (1, 2):
        for chunk in (1, 7, 64) if not quick else (7, 64):
            same(f"chunks of {chunk}, {threads} threads", [ids], 0, "--chunk", chunk, "-t", threads)
    same("whole, 2 threads", [ids], 0, "-t", 2)
    same("prefix cache", [ids], 0, "--repeat", 2)
    for round_ in range(1 if quick else 3):
        others = [[generator.randrange(VOCABULARY) for _ in range(generator.randrange(1, 200))] for _ in range(16)]
        watched = generator.randrange(17)
        batch = others[:watched] + [ids] + others[watched:]
        chunk = generator.choice((13, 64, 200))
        same(f"batch {round_} at {watched}, chunks of {chunk}", batch, watched, "--chunk", chunk)
        same(f"batch {round_} with few pages (preemption)", batch, watched, "--kv-pages", 60, "--chunk", chunk)
    return alone


def main():
    parser = programs.arguments(__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer schedules: under emulation")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--vulkan", action="store_true", help="on the Vulkan device instead of the CPU's tiers")
    options = parser.parse_args()
    work, tally = programs.work_folder(options), programs.Tally()
    config = work / "order"
    config.mkdir(exist_ok=True)
    (config / "config.json").write_text(json.dumps(MODEL))
    tiers = [tier for tier in options.tiers.split(",") if tier] or programs.machine_tiers()
    configurations = [("none", "f32"), ("q4_g32", "f32"), ("none", "bf16"), ("none", "f16"), ("none", "int8"),
                      ("q4_g32", "f32", "--activations", "bf16"), ("q4a_g32", "f32"),
                      ("q4a_g32", "f32", "--activations", "bf16"),
                      ("none", "f32", "--activations", "bf16", "--dtype", "bfloat16")]
    if options.vulkan:
        tiers, configurations = ["vulkan"], configurations[:4]  # no int8 pages, no bf16 activations yet
    target = ["--target", "vulkan"] if options.vulkan else ["--cpu-tier", ",".join(tiers)]
    for scheme, cache, *flags in configurations:
        artifact = work / ("-".join(["order", scheme, cache, *flags[1:2]]) + ".fbs")
        programs.run(options.llmc, "compile", config, "--weights", "random:7", "--quantization", scheme, "-o", artifact,
                     "-q", *target, "--kv-cache-dtype", cache, *flags)
        quick = options.quick or cache != "f32" or bool(flags)
        results = [check(options, artifact, work, tally, random.Random(options.seed), tier, quick) for tier in tiers]
        for tier, result in zip(tiers[1:], results[1:]):
            if cache == "bf16" and tier.endswith("bf16"):
                continue  # the bf16 dot rounds queries and weights of values: other arithmetic, one order of its own
            tally.check(result == results[0], f"{artifact.stem}: {tier} and {tiers[0]} differ")
    tally.finish()


if __name__ == "__main__":
    main()
