"""Makes the frozen artifact of the format version that the given llmc writes, in test/frozen: once, when the version is
raised. Refuses where there is one already."""
import argparse
import gzip
import hashlib
import json
import pathlib
import struct
import subprocess
import tempfile

import npy

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
TEXT = "Once upon a time, there was a little girl named Lily. She"
COMPILE = ["compile", "test/models/stories260k", "--quantization", "q4_g32", "--target", "cpu,vulkan", "--cpu-tier",
           "x86-64-v3,arm64-dotprod"]
TOKENS = 64


def output(*command, **options):
    return subprocess.run([str(part) for part in command], check=True, capture_output=True, cwd=ROOT, **options).stdout


def joined(ids):
    return ",".join(map(str, ids))


def answers(llmrt, artifact, logits):
    prompt = json.loads(output(llmrt, "tokenize", artifact, "--jsonl", input=json.dumps(TEXT).encode() + b"\n"))
    done = output(llmrt, "run", artifact, "--device", "cpu", "--ids", joined(prompt), "--max-tokens", TOKENS,
                  "--temperature", 0, "--ignore-eos", "--print-ids", "-q")
    ids = [int(one) for one in done.decode().strip().splitlines()[-1].split(",")]
    output(llmrt, "logits", artifact, "--device", "cpu", "--ids", joined(prompt + ids), "-o", logits)
    shape, values = npy.read(str(logits))
    bits = hashlib.sha256(struct.pack(f"<{len(values)}f", *values)).hexdigest()
    return {"text": TEXT, "prompt_ids": prompt, "ids": ids, "logits_shape": list(shape), "logits_sha256": bits}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--llmc", required=True, type=pathlib.Path)
    parser.add_argument("--llmrt", required=True, type=pathlib.Path)
    parser.add_argument("--into", default=ROOT / "test" / "frozen", type=pathlib.Path)
    flags = parser.parse_args()
    llmc, llmrt = flags.llmc.resolve(), flags.llmrt.resolve()
    with tempfile.TemporaryDirectory() as folder:
        artifact = pathlib.Path(folder) / "frozen.fbs"
        output(llmc, *COMPILE, "-o", artifact, "-q")
        inspected = json.loads(output(llmrt, "inspect", artifact, "--json"))
        version = "{}.{}".format(*struct.unpack("<8x2I", artifact.read_bytes()[:16]))  # runtime/artifact/prefix.h
        into = flags.into / version
        made_by = f"llmc {output(llmc, '--version').decode().strip()}, format {version}: llmc {' '.join(COMPILE)}"
        record = {"made_by": made_by, "root_hash": inspected["root_hash"],
                  **answers(llmrt, artifact, pathlib.Path(folder) / "logits.npy")}
        into.mkdir(parents=True)  # an error where it is there
        (into / "stories260k-q4_g32.json").write_text(json.dumps(record, indent=1) + "\n")
        (into / "stories260k-q4_g32.fbs.gz").write_bytes(gzip.compress(artifact.read_bytes(), 9, mtime=0))


if __name__ == "__main__":
    main()
