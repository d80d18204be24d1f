"""The contenders of side_by_side.py: how each is run and what its output says.

A contender's `rates(work)` runs it once and returns {test name: tokens a second}; `first_token()` returns the seconds from
exec to the end of a process that prints one token after a prompt of 16.
"""

import dataclasses
import json
import os
import pathlib
import signal
import subprocess
import time

FIRST_PROMPT = "abcdefghijklmnop"  # a token a letter in the vocabulary of gguf_file.py
FIRST_IDS = ",".join(str(ord(letter) - 33) for letter in FIRST_PROMPT)


@dataclasses.dataclass(frozen=True)
class Work:
    """What one process does: a prompt of `prompt` tokens, then apart from it `decode` tokens; both after `depth` others."""
    prompt: int = 0
    decode: int = 0
    depth: int = 0
    streams: int = 1

    def names(self):
        at = f"@{self.depth}" if self.depth else ""
        many = f"x{self.streams}" if self.streams > 1 else ""
        return ([f"pp{self.prompt}{at}"] if self.prompt else []) + ([f"tg{self.decode}{at}{many}"] if self.decode else [])


def output_of(command):
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))}\nfailed with status {done.returncode}: {done.stderr[-1500:]}")
    return done.stdout


def wall_seconds(command):
    begin = time.monotonic()
    output_of(command)
    return time.monotonic() - begin


class Contender:
    def __init__(self, name):
        self.name = name
        self.commands = set()  # as they were run, for the record

    def run(self, command):
        self.commands.add(" ".join(map(str, command)))
        return output_of(command)

    def close(self):
        pass


class Ours(Contender):
    def __init__(self, name, llmrt, artifact, threads, tier=None):
        super().__init__(name)
        self.llmrt, self.artifact, self.threads = llmrt, artifact, threads
        self.tier = ["--cpu-tier", tier] if tier else []
        self.costs = {}  # test: (bytes, operations) a token

    def rates(self, work):
        command = [self.llmrt, "bench", self.artifact, "-t", self.threads, "-p", work.prompt, "-n", work.decode, "-d",
                   work.depth, "-s", work.streams, "-r", 1, *self.tier, "--json", "-q"]
        rows = json.loads(self.run(command))["results"]
        for name, row in zip(work.names(), rows, strict=True):
            self.costs[name] = row["bytes_per_token"], row["ops_per_token"]
        return {name: row["tokens_per_s"] for name, row in zip(work.names(), rows)}

    def first_token(self):
        command = [self.llmrt, "run", self.artifact, "-t", self.threads, "--ids", FIRST_IDS, "-c", 512, "--max-tokens", 1,
                   "--temperature", 0, "--ignore-eos", "--print-ids", *self.tier, "-q"]
        self.commands.add(" ".join(map(str, command)))
        return wall_seconds(command)


class Llama(Contender):
    """llama.cpp by its own programs, of any build; `flash` forces flash attention on or off where there is a depth."""

    def __init__(self, name, bin, gguf, threads, flash=None, quick_start=()):
        super().__init__(name)
        self.bin, self.gguf, self.threads, self.quick_start = pathlib.Path(bin), gguf, threads, list(quick_start)
        self.flash = ["-fa", flash] if flash is not None else []

    def rates(self, work):
        return self.batched(work) if work.streams > 1 else self.single(work)

    def single(self, work):
        command = [self.bin / "llama-bench", "-m", self.gguf, "-t", self.threads, "-p", work.prompt, "-n", work.decode,
                   "-d", work.depth, "-r", 1, *self.flash, "-o", "json"]
        rows = json.loads(self.run(command))
        return {name: row["avg_ts"] for name, row in zip(work.names(), rows, strict=True)}

    def batched(self, work):
        before = max(work.depth, 1)
        command = [self.bin / "llama-batched-bench", "-m", self.gguf, "-t", self.threads, *self.flash, "-c",
                   work.streams * (before + work.decode) + 64, "-npp", before, "-ntg", work.decode, "-npl", work.streams,
                   "--output-format", "jsonl"]
        lines = [line for line in self.run(command).splitlines() if line.startswith("{")]
        return {work.names()[-1]: json.loads(lines[-1])["speed_tg"]}

    def first_token(self):
        command = [self.bin / "llama-completion", "-m", self.gguf, "-t", self.threads, "-p", FIRST_PROMPT, "-n", 1, "-c",
                   512, "-no-cnv", *self.quick_start]
        self.commands.add(" ".join(map(str, command)))
        return wall_seconds(command)


class Wheel(Contender):
    """A peer in its own Python. The process stays, for loading takes longer than a round, and is stopped between rounds,
    for a waiting thread pool spins."""

    def __init__(self, name, python, engine, model, threads):
        super().__init__(name)
        script = pathlib.Path(__file__).with_name("wheel.py")
        command = [str(word) for word in (python, script, engine, model, threads)]
        self.commands.add(" ".join(command))
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                        text=True, env={**os.environ, "OMP_NUM_THREADS": str(threads)})
        self.answer()  # loaded and warm
        self.process.send_signal(signal.SIGSTOP)

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.name}: {' '.join(self.commands)} ended with status {self.process.wait()}")
        return json.loads(line)

    def rates(self, work):
        if work.depth or work.streams > 1:
            raise SystemExit(f"{self.name}: only prompts and decoding of one sequence are run")
        self.process.send_signal(signal.SIGCONT)
        print(work.prompt, work.decode, file=self.process.stdin, flush=True)
        answer = self.answer()
        self.process.send_signal(signal.SIGSTOP)
        return dict(zip(work.names(), answer["tokens_per_s"], strict=True))

    def close(self):
        self.process.send_signal(signal.SIGCONT)
        self.process.stdin.close()
        self.process.wait()
