#!/usr/bin/env python3
"""/v1/embeddings of compiled models against Hugging Face's hidden states (hidden.npy of test/golden/models): every
pooling within 1e-4 in f32; and the same bits alone, in a batch, in chunks, beside answers and on one thread, in f32 and
q4_g32. An artifact that is older than embeddings says so."""
import array
import base64
import gzip
import json
import math

import npy
import programs
import serving

GOLDEN = programs.ROOT / "test" / "golden" / "models"
FROZEN = programs.ROOT / "test" / "frozen"
POOLINGS = ("mean", "cls", "last")


def golden_models():
    return sorted(path.parent for path in GOLDEN.glob("*/hidden.npy"))


def sequences(folder):
    return [[int(i) for i in line.split(",")] for line in (folder / "ids.txt").read_text().splitlines()]


def compile_model(options, folder, work, *flags):
    artifact = work / (folder.name + "-".join(["", *flags]) + ".fbs")
    tiers = [] if "vulkan" in flags else ["--cpu-tier", options.tiers or "native"]
    programs.run(options.llmc, "compile", folder, "-o", artifact, "-q", *tiers, *flags)
    return artifact


def embed(server, ids, **fields):
    status, text = server.ask("POST", "/v1/embeddings", {"input": ids, **fields})
    assert status == 200, text
    return [one["embedding"] for one in json.loads(text)["data"]]


def reference(folder, pooling):
    """What --pooling makes of each sequence's rows."""
    (_, width), values = npy.read(folder / "hidden.npy")
    out, start = [], 0
    for ids in sequences(folder):
        rows = [values[i * width:(i + 1) * width] for i in range(start, start + len(ids))]
        start += len(ids)
        picked = {"mean": rows, "cls": rows[:1], "last": rows[-1:]}[pooling]
        out.append([sum(column) / len(picked) for column in zip(*picked)])
    return out


def relative_error(actual, expected):
    largest = max(abs(x) for x in expected)
    return max((abs(a - b) if a == a else math.inf) for a, b in zip(actual, expected, strict=True)) / largest


def check_reference(options, work, tally, folders, *flags, compile_flags=()):
    for folder in folders:
        artifact = compile_model(options, folder, work, "--dtype", "float32", *compile_flags)
        for pooling in POOLINGS:
            with serving.Server(options.llmrt, artifact, "--port", 0, "--pooling", pooling, "-q", *flags) as server:
                actual = embed(server, sequences(folder), normalize=False)
                unit = embed(server, sequences(folder))
            expected = reference(folder, pooling)
            worst = max(map(relative_error, actual, expected))
            print(f"{folder.name:20} {pooling:5} {worst:.1e}", flush=True)
            tally.check(worst <= 1e-4, f"{folder.name} {pooling}: relative error {worst:.2e}")
            for vector, whole in zip(unit, expected):
                length = math.sqrt(sum(x * x for x in whole))
                tally.check(abs(math.sqrt(sum(x * x for x in vector)) - 1) < 1e-6 and
                            relative_error(vector, [x / length for x in whole]) <= 1e-4, f"{folder.name}: normalized")


def check_one_order(options, work, tally, scheme):
    folder = GOLDEN / "llama-base"
    artifact = compile_model(options, folder, work, "--dtype", "float32", "--quantization", scheme)
    ids = sequences(folder)
    for pooling in POOLINGS:
        runs = {}
        for name, flags in {"whole": [], "one thread": ["-t", 1],
                            **{f"by {n}": ["--max-num-batched-tokens", n] for n in (1, 7, 64)}}.items():
            with serving.Server(options.llmrt, artifact, "--port", 0, "--pooling", pooling, "-q", *flags) as server:
                runs[name] = embed(server, ids, normalize=False)
                runs[name + ", alone"] = [embed(server, one, normalize=False)[0] for one in ids]
                server.complete(prompt=ids[1], max_tokens=4)
                runs[name + ", after an answer"] = embed(server, ids, normalize=False)
                packed = embed(server, ids, normalize=False, encoding_format="base64")
                runs[name + ", base64"] = [list(array.array("f", base64.b64decode(text))) for text in packed]
        for name, vectors in runs.items():
            tally.check(vectors == runs["whole"], f"{scheme} {pooling}: {name} gives other bits")


def check_frozen(options, work, tally):
    for packed in sorted(FROZEN.glob("1.0/*.fbs.gz")):
        artifact = work / packed.name[:-3]
        artifact.write_bytes(gzip.decompress(packed.read_bytes()))
        with serving.Server(options.llmrt, artifact, "--port", 0, "-q") as server:
            status, text = server.ask("POST", "/v1/embeddings", {"input": [1, 2, 3]})
        tally.check(status == 400 and "compile it again" in text, f"{packed.name}: {status} {text}")


def main():
    options = programs.arguments(__doc__).parse_args()
    work, tally = programs.work_folder(options), programs.Tally()
    check_reference(options, work, tally, golden_models())
    for scheme in ("none", "q4_g32"):
        check_one_order(options, work, tally, scheme)
    check_frozen(options, work, tally)
    tally.finish()


if __name__ == "__main__":
    main()
