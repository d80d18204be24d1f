"""Runs inside a peer's virtual environment: loads a model, then times what each line of its input asks for.

    venv-X/bin/python wheel.py ctranslate2|openvino|onnxruntime MODEL THREADS

A line is "PROMPT DECODE"; the answer is {"tokens_per_s": [prompt, decode]}, of those that are not 0. Decoding is the time
of that many more tokens after the first. One line comes before all others when the model is loaded and has run once.
"""

import itertools
import json
import sys
import time


def letters(count, calls=itertools.count()):
    """One-token letters, beginning unlike the call before: a kept prefix has nothing to give."""
    first = next(calls) * 7
    return [chr(ord("a") + (first + i) % 26) for i in range(count)]


def ctranslate2(path, threads):
    import ctranslate2 as engine
    generator = engine.Generator(path, device="cpu", compute_type="int8", intra_threads=threads, inter_threads=1)
    return lambda prompt, new: generator.generate_batch([letters(prompt)], max_length=new, min_length=new, sampling_topk=1,
                                                        include_prompt_in_result=False)


def openvino(path, threads):
    import openvino_genai as engine
    pipeline = engine.LLMPipeline(path, "CPU", INFERENCE_NUM_THREADS=threads)

    def generate(prompt, new):
        config = engine.GenerationConfig(max_new_tokens=new, ignore_eos=True, do_sample=False, apply_chat_template=False)
        counts = pipeline.generate(["".join(letters(prompt))], config).perf_metrics
        if (counts.get_num_input_tokens(), counts.get_num_generated_tokens()) != (prompt, new):
            raise SystemExit("openvino: the tokens it counts are not those it was given")
    return generate


def onnxruntime(path, threads):
    import onnxruntime_genai as engine
    config = engine.Config(path)
    config.overlay(json.dumps({"model": {"decoder": {"session_options": {"intra_op_num_threads": threads}}}}))
    model = engine.Model(config)

    def generate(prompt, new):
        options = engine.GeneratorParams(model)
        options.set_search_options(max_length=prompt + new, min_length=prompt + new, do_sample=False)
        generator = engine.Generator(model, options)
        generator.append_tokens([ord(letter) - 33 for letter in letters(prompt)])
        for _ in range(new):
            generator.generate_next_token()
    return generate


def seconds(generate, prompt, new):
    begin = time.monotonic()
    generate(prompt, new)
    return time.monotonic() - begin


def main():
    engine, model, threads = sys.argv[1:]
    engines = {f.__name__: f for f in (ctranslate2, openvino, onnxruntime)}
    generate = engines[engine](model, int(threads))
    generate(16, 2)
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        prompt, decode = map(int, line.split())
        base = prompt or 16
        first = seconds(generate, base, 1)
        rates = [prompt / first] if prompt else []
        if decode:
            rates.append(decode / (seconds(generate, base, 1 + decode) - first))
        print(json.dumps({"tokens_per_s": rates}), flush=True)


if __name__ == "__main__":
    main()
