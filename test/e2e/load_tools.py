"""bench-serve, and a batch that is interrupted and goes on."""
import json
import pathlib
import shlex
import signal
import subprocess
import time

import programs
import serving

def bench(options, artifact, tally):
    with serving.Server(options.llmrt, artifact, "--port", 0) as server:
        flags = ["--port", server.port, "--num-prompts", 30, "--random-input-len", 20, "--random-output-len", 10]
        result = json.loads(programs.run(options.llmrt, "bench-serve", *flags, "--request-rate", 200, "--json"))
        tally.check(result["completed"] == 30 and result["total_output_tokens"] == 300, f"bench-serve: {result}")
        tally.check(result["total_input_tokens"] == 600, "the prompts' lengths")
        table = programs.run(options.llmrt, "bench-serve", *flags, "--max-concurrency", 2)
        tally.check("Mean TTFT (ms):" in table and "Successful requests:" in table, table)


def batch(options, artifact, tally):
    work = pathlib.Path(artifact).parent
    lines = [{"custom_id": f"r{i}", "method": "POST", "url": "/v1/completions",
              "body": {"prompt": serving.PROMPTS[i % len(serving.PROMPTS)], "max_tokens": 200, "temperature": 0,
                       "ignore_eos": True}}
             for i in range(200)]
    lines[7]["body"]["max_tokens"] = "many"
    (work / "in.jsonl").write_text("\n".join(json.dumps(line) for line in lines))
    command = [*shlex.split(options.llmrt), "run-batch", str(artifact), "-i", str(work / "in.jsonl"), "-o",
               str(work / "out.jsonl"), "-q"]
    first = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    part = work / "out.jsonl.part"
    while first.poll() is None and (not part.exists() or part.read_text().count("\n") < 5):
        time.sleep(0.01)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    tally.check(not (work / "out.jsonl").exists(), "an interrupted batch has no file of answers")
    with open(part, "a") as file:
        file.write('{"custom_id": "r199", "resp')  # as a crash in the middle of a line leaves it
    second = subprocess.run(command, stderr=subprocess.PIPE, text=True)
    tally.check(second.returncode == 0 and "are in" in second.stderr, f"it goes on: {second.stderr}")
    answers = [json.loads(line) for line in (work / "out.jsonl").read_text().splitlines()]
    tally.check(sorted(a["custom_id"] for a in answers) == sorted(line["custom_id"] for line in lines), "each once")
    bad = [a["custom_id"] for a in answers if a["response"]["status_code"] != 200]
    tally.check(bad == ["r7"], f"errors: {bad}")
    texts = {}
    for a in answers:
        if a["custom_id"] not in bad:
            text = a["response"]["body"]["choices"][0]["text"]
            texts.setdefault(int(a["custom_id"][1:]) % len(serving.PROMPTS), set()).add(text)
    tally.check(all(len(t) == 1 for t in texts.values()), "equal requests, equal answers")
