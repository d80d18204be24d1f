"""Several compiled models in one server: answers at once with the text each gives alone, loading and unloading by name
and by use, names that lead elsewhere, files that are damaged, budgets that are too large, what `llmrt ps` shows of it,
and memory that is known before it is used."""
import concurrent.futures
import json
import shlex
import signal
import subprocess
import time

import programs
import serving

PROMPTS = ("Once upon a time", "The little dog", "One day, a girl", "Tom and his")
TOKENS = 24
FLAGS = ["--max-num-seqs", 8, "--max-model-len", 128, "-t", 2]


def compile_models(options, work):
    """Two files for the command line; three in a folder: a good one, a damaged one, and links."""
    folder = work / "folder"
    folder.mkdir()
    out = {}
    for name, model, place in (("first", "stories260k", work), ("second", "babyllama105", work),
                               ("third", "stories260k", folder)):
        scheme = "q8_g32" if name == "third" else "none"
        programs.run(options.llmc, "compile", programs.ROOT / "test" / "models" / model, "-o", place / f"{name}.fbs", "-q",
                     "--cpu-tier", "native", "--quantization", scheme)
        out[name] = place / f"{name}.fbs"
    data = bytearray(out["third"].read_bytes())
    data[len(data) // 2 : len(data) // 2 + 64] = bytes(64)
    data[200] ^= 0xff
    (folder / "damaged.fbs").write_bytes(data)
    (folder / "cut.fbs").write_bytes(data[:1000])
    (folder / "outside.fbs").symlink_to(out["first"])
    (folder / "inside.fbs").symlink_to("third.fbs")
    return out, folder


def alone(options, artifact):
    return {prompt: programs.run(options.llmrt, "run", artifact, "-p", prompt, "--temperature", 0, "--max-tokens", TOKENS,
                                 "--ignore-eos", "-q", "-c", 128).removesuffix("\n") for prompt in PROMPTS}


def complete(server, model, prompt, **fields):
    status, text = server.ask("POST", "/v1/completions", {"model": model, "prompt": prompt, "max_tokens": TOKENS,
                                                          "temperature": 0, "ignore_eos": True, **fields})
    return status, json.loads(text)


def text_of(server, model, prompt):
    status, answer = complete(server, model, prompt)
    return answer["choices"][0]["text"] if status == 200 and answer["model"] == model else f"{status} {answer}"


def states(server):
    return {one["id"]: one["status"] for one in json.loads(server.ask("GET", "/models")[1])["data"]}


def wait_for(server, model, value, seconds=20):
    end = time.monotonic() + seconds
    while states(server)[model]["value"] != value and time.monotonic() < end:
        time.sleep(0.05)
    return states(server)[model]["value"] == value


def check_texts(server, expected, tally, models):
    """Both models' requests at once; each text is what the model gives alone."""
    jobs = [(model, prompt) for prompt in PROMPTS for model in models] * 4
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        texts = list(pool.map(lambda job: text_of(server, *job), jobs))
    for (model, prompt), text in zip(jobs, texts):
        tally.check(text.strip() == expected[model][prompt].removeprefix(prompt).strip(),
                    f"{model} {prompt!r}: {text!r}, alone {expected[model][prompt]!r}")


def change(server, verb, model):
    status, text = server.ask("POST", f"/models/{verb}", {"model": model})
    return status, json.loads(text)


def check_names(server, tally):
    for name in ("nothing", "../first", "folder/third", "third.fbs", "/etc/passwd", "..", "./third"):
        tally.check(change(server, "load", name)[0] == 404, f"load {name}")
        tally.check(complete(server, name, "a")[0] == 404, f"complete by {name}")
    status, answer = change(server, "load", "outside")
    tally.check(status == 400 and "link out of the folder" in answer["error"]["message"], f"a link: {status} {answer}")
    tally.check(change(server, "load", "inside")[0] == 200, "a link inside of the folder")
    tally.check(change(server, "unload", "inside")[0] == 200, "and back")
    for name in ("damaged", "cut"):
        status, answer = change(server, "load", name)
        tally.check(status in (400, 500) and f"`{name}` could not be loaded" in answer["error"]["message"],
                    f"{name}: {status} {answer}")
        tally.check(states(server)[name].get("failed") is True, f"the status of {name}")
        tally.check(complete(server, name, "a")[0] == 500, f"complete by {name}")
    status, _ = complete(server, "", "a")
    tally.check(status == 400, "no name among several")


def check_ps(options, server, tally):
    shown = json.loads(programs.run(options.llmrt, "ps", "--url", server.url, "--json"))["models"]
    by_name = {one["model"]: one for one in shown}
    tally.check(by_name["first"]["status"] == "loaded" and by_name["first"]["private_bytes"] > 0
                and by_name["first"]["kv_cache_bytes"] > 0 and by_name["first"]["device"].startswith("cpu "),
                f"ps: {by_name['first']}")
    table = programs.run(options.llmrt, "ps", "--url", server.url + "/v1/").splitlines()
    tally.check(table[0].startswith("MODEL ") and any(line.startswith("second ") and " loaded " in line
                                                      for line in table), f"ps: {table}")
    tally.check(any("failed" in line for line in table), "ps says what failed")


def check_lifecycle(options, server, expected, tally):
    tally.check(server.ask("GET", "/health")[0] == 200, "health")
    check_texts(server, expected, tally, ("first", "second"))
    check_texts(server, expected, tally, ("first", "second", "third"))  # the third is loaded by its first request
    check_names(server, tally)
    check_ps(options, server, tally)
    tally.check(change(server, "unload", "second") == (200, {"success": True}), "unload")
    tally.check(states(server)["second"] == {"value": "unloaded"}, "is unloaded")
    tally.check(change(server, "unload", "second")[0] == 400, "unload again")
    tally.check(states(server)["first"]["value"] == "loaded", "the other one stays")
    check_texts(server, expected, tally, ("first", "second"))  # comes back when it is asked for
    tally.check(change(server, "load", "second")[0] == 400, "load what is loaded")
    metrics = server.ask("GET", "/metrics")[1]
    for name in ("first", "second", "third"):
        tally.check(f'vllm:generation_tokens_total{{engine="0",model_name="{name}"}}' in metrics, f"metrics of {name}")


def check_under_load(server, expected, tally):
    """Models go and come while they are asked: every answer is right, or a 503."""
    def one(i):
        model, prompt = ("first", "second")[i % 2], PROMPTS[i % len(PROMPTS)]
        if i % 9 == 8:
            return change(server, "unload", model)[0] in (200, 400)
        status, answer = complete(server, model, prompt)
        text = answer["choices"][0]["text"] if status == 200 else ""
        return status == 503 or text.strip() == expected[model][prompt].removeprefix(prompt).strip()

    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        good = list(pool.map(one, range(150)))
    tally.check(all(good), f"{good.count(False)} of {len(good)} answers are wrong")


def check_idle(options, files, expected, tally):
    with serving.Server(options.llmrt, files["first"], files["second"], "--port", 0, "--model-idle-seconds", 0.3,
                        *FLAGS) as server:
        for model in ("first", "second"):
            tally.check(wait_for(server, model, "unloaded"), f"{model} is idle")
        tally.check(server.ask("GET", "/health")[0] == 200, "health without a model in memory")
        check_texts(server, expected, tally, ("first", "second"))
        tally.check(wait_for(server, "first", "unloaded"), "idle again")
        tally.check(server.end(signal.SIGTERM) == 0, "a clean end with nothing loaded")


def refused(options, code, text, *arguments):
    done = subprocess.run([*shlex.split(options.llmrt), "serve", *map(str, arguments), "--port", "0"], capture_output=True,
                          text=True, timeout=60)
    return "" if done.returncode == code and text in done.stderr else f"{arguments}: {done.returncode} {done.stderr}"


def check_refusals(options, files, folder, tally):
    first, second = files["first"], files["second"]
    for what in (refused(options, 2, "lower --kv-cache-memory-bytes", first, second, "--kv-cache-memory-bytes", "4000G"),
                 refused(options, 2, "second needs", first, second, "--model-kv-cache-memory-bytes", "second=4000G"),
                 refused(options, 2, "--kv-cache-memory-bytes", first, second, "--kv-cache-memory-bytes", 10),
                 refused(options, 2, "no model `nothing`", first, "--model-kv-cache-memory-bytes", "nothing=1M"),
                 refused(options, 2, "NAME=BYTES", first, "--model-kv-cache-memory-bytes", "first"),
                 refused(options, 2, "rename one", first, first),
                 refused(options, 2, "--served-model-name", first, second, "--served-model-name", "x"),
                 refused(options, 2, "--chat-template", first, second, "--chat-template", "{{ 1 }}"),
                 refused(options, 2, "--models-dir", "--models-dir", folder / "nothing"),
                 refused(options, 2, "which artifact"),
                 refused(options, 1, "damaged", first, folder / "damaged.fbs")):
        tally.check(not what, what)
    with serving.Server(options.llmrt, first, "--models-dir", folder, "--port", 0, *FLAGS, "--model-kv-cache-memory-bytes",
                        "third=4000G") as server:
        status, answer = change(server, "load", "third")
        tally.check(status == 400 and "third needs" in answer["error"]["message"], f"too large: {status} {answer}")
        tally.check(complete(server, "third", "a")[0] == 500, "which a request is told")
        tally.check(complete(server, "first", "a")[0] == 200, "the first answers")


def check_memory(options, files, tally):
    """What --print-memory says of both is enough for both."""
    report = json.loads(programs.run(options.llmrt, "serve", files["first"], files["second"], *FLAGS, "--print-memory",
                                     "--json"))
    tally.check([one["model"] for one in report["models"]] == ["first", "second"], f"{report}")
    tally.check(report["private_bytes"] == sum(one["private_bytes"] for one in report["models"]), "the sum")
    with serving.Server(options.llmrt, files["first"], files["second"], "--port", 0, *FLAGS,
                        memory=report["private_bytes"]) as server:
        with concurrent.futures.ThreadPoolExecutor(32) as pool:
            answers = list(pool.map(lambda i: complete(server, ("first", "second")[i % 2], PROMPTS[i % 4])[0], range(64)))
        tally.check(answers == [200] * 64, f"under RLIMIT_DATA: {answers}")
        tally.check(server.end(signal.SIGTERM) == 0, "a clean end under RLIMIT_DATA")


def main():
    options = programs.arguments(__doc__).parse_args()
    work, tally = programs.work_folder(options), programs.Tally()
    files, folder = compile_models(options, work)
    expected = {name: alone(options, path) for name, path in files.items()}
    tally.check(len({text for texts in expected.values() for text in texts.values()}) > len(PROMPTS), "models differ")
    with serving.Server(options.llmrt, files["first"], files["second"], "--models-dir", folder, "--port", 0,
                        *FLAGS) as server:
        check_lifecycle(options, server, expected, tally)
        check_under_load(server, expected, tally)
        tally.check(server.end(signal.SIGTERM) == 0, "a clean end with several models")
    check_idle(options, files, expected, tally)
    check_refusals(options, files, folder, tally)
    check_memory(options, files, tally)
    tally.finish()


if __name__ == "__main__":
    main()
