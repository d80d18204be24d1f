#!/usr/bin/env python3
"""Measures the time between two tokens of running streams while a long prompt comes in, with and without --max-itl-ms.

    tools/bench/itl_beside_prompt.py -o docs/benchmarks/itl

A model with random weights (CONFIG below) serves 8 streams; a prompt of 32,000 tokens joins them. The figures are of
the gaps between its arrival and its first token. The last limit is one that nothing can keep: the log has to say so
once, and itl_limit_missed_total to count it. Writes NAME.json and NAME.md.
"""
import argparse
import asyncio
import json
import pathlib
import random
import shlex
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "test" / "e2e"))
import load_client
import programs
import serving

CONFIG = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 512, "intermediate_size": 1536,
          "num_hidden_layers": 8, "num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 64,
          "vocab_size": 4096, "max_position_embeddings": 40960, "rms_norm_eps": 1e-5, "rope_theta": 500000.0,
          "hidden_act": "silu", "initializer_range": 0.02, "tie_word_embeddings": True, "torch_dtype": "bfloat16",
          "bos_token_id": 0, "eos_token_id": 1}
UNKEEPABLE_MS = 0.01
SAYING = "--max-itl-ms cannot be kept"


def body(length, tokens, seed):
    draw = random.Random(seed)
    return {"prompt": [draw.randrange(2, CONFIG["vocab_size"]) for _ in range(length)], "max_tokens": tokens,
            "temperature": 0, "ignore_eos": True}


async def follow(port, asked, answer):
    async with load_client.Connection(port) as connection:
        await connection.stream("/v1/completions", asked, answer=answer)


async def gaps_beside(port, prompt, streams):
    """Milliseconds between tokens of the streams until the prompt has its first token; how long that took."""
    running, answers = [], [load_client.Answer() for _ in range(streams)]
    for seed, answer in enumerate(answers):
        running.append(asyncio.create_task(follow(port, body(32, 30000, seed), answer)))
    await asyncio.sleep(2)
    start = time.perf_counter()
    answer = await load_client.request(port, body(prompt, 1, 1000))
    if not answer.good:
        raise SystemExit(f"the long prompt failed: {answer.error or answer.status}")
    end = answer.events[0]
    if any(task.done() for task in running):
        raise SystemExit("a stream ended before the prompt was in")
    for task in running:
        task.cancel()
    gaps = [1e3 * (b - a) for one in answers for a, b in zip(one.events, one.events[1:]) if a >= start and b <= end]
    return gaps, end - start


def measure(args, artifact, limit):
    flags = ["--port", 0, "--max-model-len", 40000, "--max-num-batched-tokens", 2048, "--no-enable-prefix-caching"]
    if limit:
        flags += ["--max-itl-ms", limit]
    with serving.Server(args.llmrt, artifact, *flags) as server:
        prompt = args.prompt if limit != UNKEEPABLE_MS else 64
        gaps, seconds = asyncio.run(gaps_beside(server.port, prompt, args.streams))
        row = {"limit_ms": limit, "prompt": prompt, "prompt_seconds": seconds, "tokens": len(gaps),
               "p50": load_client.percentile(gaps, 50), "p99": load_client.percentile(gaps, 99), "most": max(gaps),
               "missed": serving.metrics(server)["vllm:itl_limit_missed_total"], "said": server.said.count(SAYING)}
    print(json.dumps(row), flush=True)
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--llmc", default="build/dev/bin/llmc")
    parser.add_argument("--llmrt", default="build/dev/bin/llmrt")
    parser.add_argument("--limits", default="0,100,50,25", help="of --max-itl-ms; 0: none")
    parser.add_argument("--prompt", type=int, default=32000)
    parser.add_argument("--streams", type=int, default=8)
    parser.add_argument("-o", "--output", type=pathlib.Path, help="without the ending; nothing is written if absent")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        config, artifact = pathlib.Path(work) / "config.json", pathlib.Path(work) / "model.fbs"
        config.write_text(json.dumps(CONFIG))
        programs.run(args.llmc, "compile", config, "--weights", "random:1", "--quantization", "q8_g32", "--cpu-tier",
                     "native", "-o", artifact, "-q")
        limits = [float(limit) for limit in args.limits.split(",")] + [UNKEEPABLE_MS]
        rows = [measure(args, artifact, limit) for limit in limits]
    lines = ["| --max-itl-ms | prompt | its first token after, s | gaps | median, ms | p99, ms | longest, ms "
             "| limit missed | said |", "|" + "---|" * 9]
    lines += [f"| {r['limit_ms'] or 'none'} | {r['prompt']} | {r['prompt_seconds']:.1f} | {r['tokens']} | "
              f"{r['p50']:.1f} | {r['p99']:.1f} | {r['most']:.1f} | {r['missed']:.0f} | {r['said']} |" for r in rows]
    table = "\n".join(lines)
    print(table)
    if args.output:
        record = {"command": shlex.join(sys.argv), "rows": rows}
        args.output.with_suffix(".json").write_text(json.dumps(record, indent=1) + "\n")
        title = "# Running streams beside a long prompt"
        args.output.with_suffix(".md").write_text(f"{title}\n\n`{record['command']}`\n\n{table}\n")
    kept = all(r["p99"] <= r["limit_ms"] for r in rows[:-1] if r["limit_ms"])
    told = rows[-1]["said"] == 1 and rows[-1]["missed"] > 0
    return 0 if kept and told else 1


if __name__ == "__main__":
    sys.exit(main())
