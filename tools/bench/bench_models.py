"""Makes the files that side_by_side.py times, each once: artifacts, GGUF files of the same shape, the wheels' folders.

Weights are made up (`llmc --weights random:1`). GGUF files are quantized with one layer and the layer is repeated:
speed does not depend on values, and the 8B shape in f16 would be 16 GB.
"""

import json
import pathlib
import shutil
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
BASE = ROOT / "models/configs/llama-3.2-1b.json"
SHAPES = {
    "1b": {},  # Llama-3.2-1B
    "8b": dict(hidden_size=4096, intermediate_size=14336, num_hidden_layers=32, head_dim=128,  # Llama-3.1-8B
               tie_word_embeddings=False),
}
QUANTIZE = {"Q4_0": "Q4_0", "Q4_K": "Q4_K_S"}  # --pure: every matrix in this one type, the head too
TIERS = "native,x86-64-v3"


def config_of(shape):
    return {**json.loads(BASE.read_text()), **SHAPES[shape]}


class Models:
    def __init__(self, folder, llmc, peers):
        self.folder, self.llmc, self.peers = folder, llmc, peers
        folder.mkdir(parents=True, exist_ok=True)

    def once(self, name, make):
        """Makes `name` under another name first, so that what is there is whole."""
        path = self.folder / name
        if not path.exists():
            print(f"making {path}", flush=True)
            part = self.folder / f"part-{name}"
            shutil.rmtree(part, ignore_errors=True)
            make(part)
            part.rename(path)
        return path

    def run(self, *command):
        done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode:
            raise SystemExit(f"{' '.join(map(str, command))}\nfailed with status {done.returncode}: {done.stdout[-1500:]}")

    def config(self, shape, layers=None):
        config = config_of(shape)
        config["num_hidden_layers"] = layers or config["num_hidden_layers"]
        return self.once(f"{shape}-{layers or 'all'}.json", lambda part: part.write_text(json.dumps(config)))

    def artifact(self, shape, scheme):
        return self.once(f"{shape}-{scheme}.fbs", lambda part: self.run(
            self.llmc, "compile", self.config(shape), "--weights", "random:1", "--quantization", scheme, "--cpu-tier",
            TIERS, "-q", "-o", part))

    def checkpoint(self, shape, layers=None):
        """A Hugging Face folder of the whole shape, or of its first layers, with the vocabulary of gguf_file.py."""
        def make(part):
            self.run(self.llmc, "export-weights", self.config(shape, layers), "--weights", "random:1", "-o", part)
            self.run(self.python("tools"), ROOT / "tools/bench/gguf_file.py", "tokenizer", part, part / "tokenizer.json")
        return self.once(f"{shape}-hf-{layers or 'all'}", make)

    def gguf(self, shape, type):
        def half(part):
            self.run(self.python("tools"), ROOT / "tools/bench/gguf_file.py", "convert", self.checkpoint(shape, 1), part,
                     "--type", "f16")

        def make(part):
            one = self.folder / f"{shape}-1-{type}.gguf"
            self.run(self.peers / "native/bin/llama-quantize", "--pure", self.once(f"{shape}-1-f16.gguf", half), one,
                     QUANTIZE[type], "2")
            layers = config_of(shape)["num_hidden_layers"]
            self.run(self.python("tools"), ROOT / "tools/bench/gguf_file.py", "repeat", one, part, "--layers", layers)
            one.unlink()
        return self.once(f"{shape}-{type}.gguf", make)

    def python(self, name):
        return self.peers / f"venv-{name}/bin/python"

    def ctranslate2(self, shape):
        converter = self.python("ctranslate2").with_name("ct2-transformers-converter")
        return self.once(f"{shape}-ctranslate2-int8", lambda part: self.run(
            converter, "--model", self.checkpoint(shape), "--output_dir", part, "--quantization", "int8",
            "--low_cpu_mem_usage"))

    def onnxruntime(self, shape):
        return self.once(f"{shape}-onnxruntime-int4", lambda part: self.run(
            self.python("onnxruntime"), "-m", "onnxruntime_genai.models.builder", "-i", self.checkpoint(shape), "-o", part,
            "-c", self.folder / "cache", "-p", "int4", "-e", "cpu", "--extra_options", "int4_block_size=32",
            "int4_accuracy_level=4"))
