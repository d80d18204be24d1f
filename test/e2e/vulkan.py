#!/usr/bin/env python3
"""The Vulkan device, on whatever Vulkan this machine has (CI: lavapipe, software): against Hugging Face's ids and
logits and against the CPU, bit for bit against itself over chunks, every SPIR-V module under spirv-val, a run under the
validation layers, and what is said where there is no such device. Without libvulkan: skipped, exit code 77."""
import concurrent.futures
import ctypes
import json
import os
import pathlib
import shutil
import subprocess
import sys

import embeddings
import npy
import programs
import serving

GOLDEN = programs.ROOT / "test" / "golden"
MODELS = programs.ROOT / "test" / "models"
LAYER = "VK_LAYER_KHRONOS_validation"
# One a family and each kernel kind's options; --full takes all golden models.
FAMILIES = ["gpt2-base", "gpt2-gelu-pytorch-tanh", "gpt2-quick-gelu", "gpt2-relu2", "llama-base", "llama-bf16",
            "llama-mqa", "llama-yarn-new", "mistral-window", "qwen2-window", "qwen3-base"]
DYNAMIC = ["llama-dynamic", "llama-dynamic-new"]


def joined(ids):
    return ",".join(map(str, ids))


def failure(program, *args, **options):
    done = subprocess.run([program, *map(str, args)], capture_output=True, text=True, **options)
    return done.returncode, done.stderr


class Suite:
    def __init__(self, options, work, tally):
        self.options, self.work, self.tally = options, work, tally

    def compile(self, folder, *flags, target="cpu,vulkan"):
        artifact = self.work / "model.fbs"
        # The plainest tier: one with the bf16 dot rounds queries where the cache is bf16.
        tiers = ["--cpu-tier", "x86-64-v3"] if "cpu" in target else []
        programs.run(self.options.llmc, "compile", folder, "-o", artifact, "-q", "--target", target, *tiers, *flags)
        return artifact

    def logits(self, artifact, device, *flags):
        out = self.work / f"{device}.npy"
        programs.run(self.options.llmrt, "logits", artifact, "-o", out, "--device", device, *flags)
        return npy.read(out)

    def close(self, what, actual, expected, tolerance):
        scale = max(abs(x) for x in expected[1])
        error = max((abs(a - b) if a == a else float("inf")) for a, b in zip(actual[1], expected[1])) / scale
        print(f"{what:44} {error:.1e}", flush=True)
        self.tally.check(actual[0] == expected[0] and error <= tolerance, f"{what}: relative error {error:.2e}")
        return scale

    def check_reference(self):
        """stories260k in f32: Hugging Face's greedy ids, and the same bits whatever the chunks are."""
        reference = json.loads((GOLDEN / "reference_greedy.json").read_text())["stories260K"]
        prompt, ids = reference["prompt_ids"], reference["ids"]
        artifact = self.compile(MODELS / "stories260k", target="vulkan")
        said = programs.run(self.options.llmrt, "run", artifact, "--ids", joined(prompt), "--max-tokens",
                            len(ids) - len(prompt), "--temperature", 0, "--ignore-eos", "--print-ids")
        new = [int(x) for x in said.strip().splitlines()[-1].split(",")]
        self.tally.check(prompt + new == ids, f"greedy ids differ: {new} for {ids[len(prompt):]}")
        text = ["--ids", joined(ids)]
        whole = self.logits(artifact, "vulkan", *text)
        for chunk in (1, 7):
            same = self.logits(artifact, "vulkan", *text, "--chunk", chunk) == whole
            self.tally.check(same, f"chunks of {chunk} give other bits")
        return ids

    def check_quantized(self, ids):
        """One kind of activations on both devices: logits close, and ids equal wherever the CPU's choice is clear. An int8
        input between two integers goes where the last bit of a sum sends it: a 127th of the largest input, from that row
        on. So those have a wider bound, and the first row, which such a case would have to meet at once, the other."""
        for scheme, activations in (("q8_g32", "float"), ("q4_g32", "float"), ("q4a_g32", "float"), ("q8_g32", "int8"),
                                    ("q4_g32", "int8"), ("q4a_g32", "int8")):
            artifact = self.compile(MODELS / "stories260k", "--quantization", scheme, "--activations", activations)
            expected = self.logits(artifact, "cpu", "--ids", joined(ids))
            actual = self.logits(artifact, "vulkan", "--ids", joined(ids))
            tolerance = 2e-3 if activations == "float" else 3e-2
            scale = self.close(f"stories260k {scheme}, {activations}, cache f32", actual, expected, tolerance)
            (rows, columns), unclear = expected[0], 0
            first = max(abs(a - b) for a, b in zip(actual[1][:columns], expected[1][:columns])) / scale
            self.tally.check(first <= 2e-3, f"{scheme}, {activations}: the first row differs by {first:.2e}")
            for row in range(rows):
                span = slice(row * columns, (row + 1) * columns)
                want, got = list(expected[1][span]), list(actual[1][span])
                best, second = sorted(want)[-1], sorted(want)[-2]
                if best - second > 2 * tolerance * scale:
                    self.tally.check(got.index(max(got)) == want.index(best),
                                     f"{scheme}, {activations}: another id in row {row}")
                else:
                    unclear += 1
            print(f"{scheme}, {activations}: {rows - unclear} of {rows} choices are clear", flush=True)

    def check_types(self, ids):
        for dtype, kv in (("float32", "f16"), ("float32", "bf16"), ("float16", "f16"), ("bfloat16", "bf16")):
            artifact = self.compile(MODELS / "stories260k", "--dtype", dtype, "--kv-cache-dtype", kv)
            text = ["--ids", joined(ids[:64])]
            self.close(f"stories260k {dtype}, cache {kv}", self.logits(artifact, "vulkan", *text),
                       self.logits(artifact, "cpu", *text), 2e-3)

    def check_matrices(self, ids):
        """bf16 activations, which matrix units take: the same bits whatever the chunks are, so whatever variant has them.
        Sums in another order round some input of some token to the other neighbour in bf16, and from there on two devices
        round as if they knew nothing of each other. So the first token's logits are the CPU's but for the order, and all
        are as near to them as those are to the logits of inputs that are not rounded, twice: each is off by that much."""
        for flags in (("--quantization", "q4a_g32"), ("--dtype", "bfloat16", "--kv-cache-dtype", "f32")):
            artifact = self.compile(MODELS / "stories260k", "--activations", "bf16", *flags)
            text = ["--ids", joined(ids[:80])]
            whole, expected = self.logits(artifact, "vulkan", *text), self.logits(artifact, "cpu", *text)
            for chunk in (1, 11, 20, 40):
                same = self.logits(artifact, "vulkan", *text, "--chunk", chunk) == whole
                self.tally.check(same, f"bf16 activations, {flags[1]}: chunks of {chunk} give other bits")
            name = f"stories260k {flags[1]}, bf16 activations"
            first = [((1, shape[1]), values[:shape[1]]) for shape, values in (whole, expected)]
            self.close(name + ", first", *first, 1e-6)
            artifact = self.compile(MODELS / "stories260k", "--activations", "float", *flags, target="cpu")
            exact = self.logits(artifact, "cpu", *text)
            cost = max(abs(a - b) for a, b in zip(expected[1], exact[1])) / max(abs(x) for x in expected[1])
            self.close(name, whole, expected, 2 * cost)

    def check_programs(self, ids):
        """An artifact for both has a program for each: the bits that the device gives where an artifact is for it alone, and
        its code; the weights once."""
        def parts(artifact):
            return json.loads(programs.run(self.options.llmrt, "inspect", artifact, "--json"))

        stories, heads = MODELS / "stories260k", GOLDEN / "models" / "qwen3-base"
        for folder, flags, text, activations in (
                (stories, (), ("--ids", joined(ids[:64])), "float"),
                (stories, ("--quantization", "q4_g32"), ("--ids", joined(ids[:64])), "int8"),
                (heads, ("--quantization", "q8_g32"), ("--batch", heads / "ids.txt"), "int8")):
            name, logits, alone = " ".join((folder.name, *flags)), {}, {}
            for device in ("cpu", "vulkan"):
                artifact = self.compile(folder, *flags, target=device)
                logits[device], alone[device] = self.logits(artifact, device, *text), parts(artifact)
            both = self.compile(folder, *flags)
            for device, expected in logits.items():
                same = self.logits(both, device, *text) == expected
                self.tally.check(same, f"{name}: other bits on {device} beside the other target")
            said, cpu, gpu = parts(both), alone["cpu"], alone["vulkan"]
            self.tally.check(said["weight_bytes"] == cpu["weight_bytes"] == gpu["weight_bytes"], f"{name}: weights twice")
            sizes = [one["code_bytes"] for one in (said, cpu, gpu)]
            self.tally.check(sizes[0] == sum(sizes[1:]), f"{name}: code of {sizes[0]} bytes for {sizes[1:]}")
            sizes = [one["metadata_bytes"] for one in (said, cpu, gpu)]
            self.tally.check(sizes[0] < sum(sizes[1:]), f"{name}: metadata of {sizes[0]} bytes for {sizes[1:]}")
            found = [(one["targets"], one["activations"]) for one in said["program_details"]]
            expected = [(cpu["targets"], activations), (gpu["targets"], "float")]
            self.tally.check(found == expected, f"{name}: programs {found} for {expected}")
            fused = {one["target"] for one in said["kernels"] if one["name"].startswith("linear_heads")}
            self.tally.check(fused == ({"cpu"} if folder == heads else set()), f"{name}: linear_heads for {fused}")
            lines = programs.run(self.options.llmrt, "inspect", both)
            self.tally.check(f"step for cpu, activations {activations}, " in lines and "would run on" in lines,
                             f"inspect does not say which program is for what: {lines}")
            print(f"{name}: a program each, {said['bytes']} bytes", flush=True)

    def check_families(self):
        names = sorted(p.name for p in (GOLDEN / "models").iterdir() if p.is_dir())
        for name in names if self.options.full else FAMILIES:
            folder = GOLDEN / "models" / name
            if name in DYNAMIC:
                continue
            artifact = self.compile(folder, "--dtype", "float32", target="vulkan")
            self.close(name, self.logits(artifact, "vulkan", "--batch", folder / "ids.txt"),
                       npy.read(folder / "logits.npy"), 1e-4)
        self.check_refusals()

    def check_large_weights(self):
        """An embedding (138 MB, the head too) and a gate (143 MB) over what a device with Vulkan must bind: dispatches
        of 128 MiB at most, with the bits of the whole."""
        folder = self.work / "large"
        folder.mkdir(exist_ok=True)
        (folder / "config.json").write_text(json.dumps({
            "architectures": ["LlamaForCausalLM"], "model_type": "llama", "torch_dtype": "bfloat16",
            "hidden_size": 256, "intermediate_size": 140000, "num_hidden_layers": 1, "num_attention_heads": 4,
            "num_key_value_heads": 2, "vocab_size": 270000, "max_position_embeddings": 128, "hidden_act": "silu",
            "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "initializer_range": 0.05, "tie_word_embeddings": True}))
        made = ["--weights", "random:5", "--activations", "float", "--max-num-batched-tokens", 64]
        text = ["--ids", "0,262111,262112,269999,131072,5"]
        whole = self.compile(folder, *made, target="cpu")
        expected = self.logits(whole, "cpu", *text)
        artifact = self.compile(folder, *made)
        self.tally.check(self.logits(artifact, "cpu", *text) == expected, "beside weights in parts: other bits on the CPU")
        self.close("weights over 128 MiB", self.logits(artifact, "vulkan", *text), expected, 2e-3)
        artifact.unlink()

    def check_refusals(self):
        for model, flags, what in ((GOLDEN / "models" / DYNAMIC[0], (), "rope scaling 'dynamic'"),
                                   (MODELS / "stories260k", ("--kv-cache-dtype", "int8"), "int8 keys and values")):
            code, said = failure(self.options.llmc, "compile", model, "--target", "vulkan", "-o",
                                 self.work / "none.fbs", "-q", *flags)
            self.tally.check(code == 1 and what in said, f"{what}: exit code {code}: {said}")

    def check_modules(self):
        """Kernels of several configurations under spirv-val."""
        validator, count = shutil.which("spirv-val"), 0
        self.tally.check(validator, "spirv-val is not installed: scripts/setup brings it")
        for flags in ((), ("--quantization", "q8_g32"), ("--quantization", "q4_g128", "--kv-cache-dtype", "f16"),
                      ("--quantization", "q8_g32", "--activations", "int8", "--kv-cache-dtype", "bf16"),
                      ("--quantization", "q4a_g32")):
            artifact, folder = self.compile(MODELS / "stories260k", *flags, target="vulkan"), self.work / "kernels"
            shutil.rmtree(folder, ignore_errors=True)
            programs.run(self.options.llmrt, "inspect", artifact, "--dump-kernels", folder)
            for module in sorted(folder.glob("*.spv")) if validator else ():
                code, said = failure(validator, "--target-env", "vulkan1.1", module)
                self.tally.check(code == 0, f"{module.name}: {said}")
                count += 1
        print(f"{count} modules under spirv-val", flush=True)
        return artifact

    def check_tiers(self, ids):
        """Tiers by device features: which an artifact has, which is taken and why, one by name; all give one order."""
        base, halves, dots = "spirv1.3", "spirv1.3-storage16", "spirv1.3-storage16-dot"
        shuffles = dots + "-subgroup"
        text = ["--ids", joined(ids[:64])]
        # A tier is there where a model gains by it: values of 16 bits, products of int8, sums of a norm.
        configurations = (((), [base, shuffles]),
                          (("--dtype", "float16", "--kv-cache-dtype", "f16"), [base, halves, shuffles]),
                          (("--quantization", "q4_g32", "--activations", "int8"), [base, dots, shuffles]),
                          (("--quantization", "q8_g32", "--activations", "int8", "--kv-cache-dtype", "bf16"),
                           [base, halves, dots, shuffles]))
        needs = {base: (), halves: ("storage16",), dots: ("storage16", "int_dot"),
                 shuffles: ("storage16", "int_dot", "subgroup_size", "subgroup_shuffle")}
        for flags, tiers in configurations:
            artifact = self.compile(MODELS / "stories260k", *flags, target="vulkan")
            found = json.loads(programs.run(self.options.llmrt, "inspect", artifact, "--json"))["tiers"]
            self.tally.check(found == tiers, f"tiers {found} for {tiers}")
            said = programs.run(self.options.llmrt, "inspect", artifact)
            run = [tier for tier in tiers if all(name in said.split("it has")[-1] for name in needs[tier])]
            self.tally.check("vulkan:0 " in said and f": tier {run[-1]}; it has " in said,
                             f"inspect does not say which tier and why: {said}")
            floor = self.logits(artifact, "vulkan", *text, "--gpu-tier", base)
            for tier in run[1:]:
                self.tally.check(self.logits(artifact, "vulkan", *text, "--gpu-tier", tier) == floor, f"{tier}: other bits")
            self.tally.check(self.logits(artifact, "vulkan", *text) == floor, "the tier that is taken: other bits")
            print(f"{' '.join(flags) or 'f32'}: ran {len(run)} of {len(tiers)} tiers", flush=True)
        ask = ["logits", artifact, "-o", self.work / "none.npy", *text, "--gpu-tier"]
        code, said = failure(self.options.llmrt, *ask, "spirv9", "--device", "vulkan")
        self.tally.check(code == 1 and f"does not run tier spirv9; the artifact has {shuffles}" in said,
                         f"--gpu-tier spirv9: {code}: {said}")
        code, said = failure(self.options.llmrt, *ask, base, "--device", "cpu")
        self.tally.check(code != 0 and "--gpu-tier goes with" in said, f"--gpu-tier on the CPU: {code}: {said}")

    def check_layers(self, artifact):
        """No message of the validation layers, synchronization included."""
        if not any(pathlib.Path("/usr/share/vulkan/explicit_layer.d").glob("*hronos_validation*")):
            print("validation layers: not installed, not run", flush=True)
            return
        environment = {**os.environ, "VK_INSTANCE_LAYERS": LAYER,
                       "VK_LAYER_ENABLES": "VK_VALIDATION_FEATURE_ENABLE_SYNCHRONIZATION_VALIDATION_EXT"}
        done = subprocess.run([self.options.llmrt, "run", str(artifact), "--device", "vulkan", "--ids", "1,5,9,17",
                               "--max-tokens", "3", "--temperature", "0", "--ignore-eos", "--print-ids", "-q"],
                              capture_output=True, text=True, env=environment)
        said = done.stdout + done.stderr
        quiet = done.returncode == 0 and not any(word in said for word in ("VUID", "SYNC-HAZARD", "Validation"))
        self.tally.check(quiet, f"validation layers: {said[:2000]}")
        print("validation layers: run", flush=True)

    def check_pipeline_cache(self, artifact):
        """A file a device, written once, kept as it is, made again where it is damaged or another driver's; and runs
        without a folder for it."""
        home = self.work / "cache"

        def run(what, **environment):
            known = {key: value for key, value in os.environ.items() if key not in ("XDG_CACHE_HOME", "HOME")}
            done = subprocess.run([self.options.llmrt, "run", str(artifact), "--device", "vulkan", "--ids", "1,5,9",
                                   "--max-tokens", "2", "--temperature", "0", "--ignore-eos", "--print-ids", "-q"],
                                  capture_output=True, text=True, env={**known, **environment})
            self.tally.check(done.returncode == 0 and not done.stderr, f"{what}: {done.returncode}: {done.stderr}")
            return done.stdout

        def files():
            return [(p.name, p.read_bytes(), p.stat().st_ino) for p in sorted((home / "llmrt").iterdir())]

        ids = run("a first run", XDG_CACHE_HOME=str(home))
        written = files()
        self.tally.check(len(written) == 1 and written[0][0].startswith("vulkan-") and written[0][0].endswith(".bin") and
                         written[0][1][:8] == b"LLMRTVK1" and len(written[0][1]) > 72, f"the cache: {written}")
        name, good, _ = written[0]
        self.tally.check(run("a second run", XDG_CACHE_HOME=str(home)) == ids and files() == written,
                         "the cache is not kept as it is")
        path = home / "llmrt" / name
        damages = {"a flipped bit": good[:80] + bytes([good[80] ^ 1]) + good[81:], "a cut file": good[:50],
                   "a file without data": good[:72], "another driver's": good[:16] + b"\xff\xff\xff\xff" + good[20:],
                   "another device's": good[:24] + bytes(16) + good[40:], "no cache at all": b"x" * 5000}
        for what, bad in damages.items():
            path.write_bytes(bad)
            self.tally.check(run(what, XDG_CACHE_HOME=str(home)) == ids, f"{what}: other ids")
            self.tally.check([one[:2] for one in files()] == [(name, good)], f"{what} is not made again")
        path.unlink()
        (home / "llmrt").rmdir()
        (home / "llmrt").write_text("a file where the folder would be")
        self.tally.check(run("no room for a folder", XDG_CACHE_HOME=str(home)) == ids, "no folder: other ids")
        self.tally.check(run("no cache folder") == ids, "no home: other ids")
        run("a home", HOME=str(self.work / "home")) # the folder for it does not exist, nor does .cache
        (self.work / "home").mkdir()
        run("a home", HOME=str(self.work / "home"))
        made = self.work / "home" / ".cache" / "llmrt" / name
        self.tally.check(made.is_file() and made.read_bytes() == good, "HOME: no cache")

    def check_candidates(self):
        """What is sampled from a row's best logits is what is sampled from the whole row, which logprobs ask for: greedy
        and with top_k, over many seeds, beside requests that need whole rows in the same batches."""
        artifact, tokens = self.compile(MODELS / "stories260k", target="vulkan"), 12
        said = programs.run(self.options.llmrt, "inspect", artifact)
        self.tally.check("on GPUs the best 128 logits of each row" in said, f"no candidates: {said}")
        start = {"prompt": "Once upon a time, there was a", "max_tokens": tokens}
        enough = [{**start, "temperature": 0}]
        for seed in range(12):
            enough += [{**start, "temperature": 1.1, "top_k": 40, "seed": seed},
                       {**start, "temperature": 0.9, "top_k": 127, "seed": seed, "min_p": 0.02},
                       {**start, "temperature": 1.5, "top_k": 9, "seed": seed, "top_p": 0.8}]
        whole = [{**fields, "logprobs": 0} for fields in enough]
        # Of each what it would be alone; the last one needs the row until all of its tokens are there.
        others = [{**start, **more} for more in ({"temperature": 1, "seed": 5}, {"repetition_penalty": 1.3},
                                                 {"logit_bias": {"300": 5}}, {"guided_choice": ["big dog", "small cat"]},
                                                 {"temperature": 1, "top_k": 128, "seed": 9}, {"min_tokens": tokens})]
        everything = [one for pair in zip(enough, whole) for one in pair] + others
        with serving.Server(self.options.llmrt, artifact, "--port", 0, "--device", "vulkan", "-q") as server:
            alone = [server.alone(fields) for fields in others]
            before = serving.metrics(server)
            with concurrent.futures.ThreadPoolExecutor(16) as pool:
                texts = list(pool.map(server.alone, everything))
            after = serving.metrics(server)
        count = lambda name: after[f"vllm:{name}_total"] - before[f"vllm:{name}_total"]
        pairs = list(zip(texts[0:2 * len(enough):2], texts[1:2 * len(enough):2]))
        different = [one for one, pair in zip(enough, pairs) if pair[0] != pair[1]]
        self.tally.check(not different, f"other tokens from candidates than from whole rows: {different}")
        self.tally.check(texts[2 * len(enough):] == alone, "rows that are read whole: other tokens in a batch")
        self.tally.check(count("candidate_rows") == len(enough) * tokens, f"{count('candidate_rows')} rows of candidates")
        print(f"{count('candidate_rows'):.0f} of {count('sampled_rows'):.0f} rows by their candidates", flush=True)

    def check_absent(self):
        both = self.compile(MODELS / "stories260k")
        ids = ["--ids", "1,2,3", "--max-tokens", 2, "--temperature", 0, "--print-ids", "-q"]
        code, said = failure(self.options.llmrt, "run", both, *ids, "--device", "vulkan:99")
        self.tally.check(code == 1 and "no Vulkan device 99; there are 0: " in said, f"vulkan:99: {code}: {said}")
        nowhere = {**os.environ, "VK_ICD_FILENAMES": "/nowhere.json", "VK_DRIVER_FILES": "/nowhere.json"}
        code, said = failure(self.options.llmrt, "run", both, *ids, "--device", "vulkan", env=nowhere)
        self.tally.check(code == 1 and "this machine has cpu" in said, f"no driver: {code}: {said}")
        code, said = failure(self.options.llmrt, "run", both, *ids, env=nowhere)
        self.tally.check(code == 0, f"no driver, any device: {code}: {said}")
        code, said = failure(self.options.llmrt, "run", both, *ids, "--device", "cuda")
        self.tally.check(code == 1 and "no code for CUDA" in said and "the artifact has code for cpu, vulkan" in said,
                         f"--device cuda: {code}: {said}")
        code, said = failure(self.options.llmrt, "run", both, *ids, "--device", "tpu")
        self.tally.check(code == 2 and "auto, cpu, cuda and vulkan are" in said, f"--device tpu: {code}: {said}")
        text = programs.run(self.options.llmrt, "inspect", both)
        self.tally.check("would run on" in text, "inspect does not say what would run it")
        cpu = self.compile(MODELS / "stories260k", target="cpu")
        code, said = failure(self.options.llmrt, "run", cpu, *ids, "--device", "vulkan")
        self.tally.check(code == 1 and "--target vulkan" in said and "the artifact has code for cpu" in said,
                         f"an artifact without Vulkan: {code}: {said}")


def main():
    parser = programs.arguments(__doc__)
    parser.add_argument("--full", action="store_true", help="all golden models")
    options = parser.parse_args()
    try:
        ctypes.CDLL("libvulkan.so.1")
    except OSError as error:
        print(f"skipped: {error}")
        sys.exit(77)
    work, tally = programs.work_folder(options), programs.Tally()
    suite = Suite(options, work, tally)
    ids = suite.check_reference()
    suite.check_quantized(ids)
    suite.check_types(ids)
    suite.check_matrices(ids)
    suite.check_programs(ids)
    suite.check_families()
    suite.check_large_weights()
    hidden = [embeddings.GOLDEN / name for name in ("llama-base", "llama-head-dim", "gpt2-base")]
    embeddings.check_reference(options, work, tally, hidden, "--device", "vulkan",
                               compile_flags=("--target", "vulkan"))
    suite.check_candidates()
    suite.check_tiers(ids)
    artifact = suite.check_modules()
    suite.check_layers(artifact)
    suite.check_pipeline_cache(artifact)
    suite.check_absent()
    tally.finish()


if __name__ == "__main__":
    main()
