#!/usr/bin/env python3
"""Memory is known before it is used: under RLIMIT_DATA set to the private_bytes that --print-memory gives, a server
answers a random load of 64 requests at once."""
import concurrent.futures
import json
import random
import resource
import shlex
import signal
import subprocess
import urllib.request

import programs

FLAGS = ["--max-num-seqs", "16", "--max-model-len", "256", "-t", "2"]


def ask(url, seed):
    generator = random.Random(seed)
    body = {"model": "memory", "prompt": [generator.randrange(3, 500) for _ in range(generator.randrange(1, 150))],
            "max_tokens": generator.randrange(1, 60), "temperature": generator.choice((0, 1)), "seed": seed}
    request = urllib.request.Request(url + "/v1/completions", json.dumps(body).encode(),
                                     {"Content-Type": "application/json"})
    return json.load(urllib.request.urlopen(request, timeout=120))["usage"]["completion_tokens"]


def main():
    options = programs.arguments(__doc__).parse_args()
    work, tally = programs.work_folder(options), programs.Tally()
    artifact = work / "memory.fbs"
    programs.run(options.llmc, "compile", programs.ROOT / "test" / "models" / "stories260k", "-o", artifact, "-q",
                 "--cpu-tier", "native")
    report = json.loads(programs.run(options.llmrt, "serve", artifact, *FLAGS, "--print-memory", "--json"))
    limit = report["private_bytes"]
    command = shlex.split(options.llmrt) + ["serve", str(artifact), "--port", "0", *FLAGS]
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True,
                              preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (limit, limit)))
    url = None
    for line in server.stderr:
        if line.startswith("listening on "):
            url = line.split()[-1]
            break
    tally.check(url is not None, f"the server did not start under RLIMIT_DATA = {limit}")
    if url:
        with concurrent.futures.ThreadPoolExecutor(64) as pool:
            counts = list(pool.map(lambda seed: ask(url, seed), range(64)))
        tally.check(len(counts) == 64 and all(counts), f"answers of {counts} tokens")
        server.send_signal(signal.SIGTERM)
    tally.check(server.wait(timeout=60) == 0, f"exit code {server.returncode} after SIGTERM")
    tally.finish()


if __name__ == "__main__":
    main()
