#!/usr/bin/env python3
"""side_by_side.py from its command line to its record, with programs that answer at once: who runs when, and what is read
from whose output. The peers themselves are not needed."""
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
# Each says in the log that it ran, and answers as the real one does.
PROGRAM = '''#!{python}
import json, pathlib, sys
name, words = pathlib.Path(sys.argv[0]).name, sys.argv[1:]
with open({log!r}, "a") as log:
    log.write(" ".join([name, *words]) + "\\n")
value = lambda flag: words[words.index(flag) + 1]
if name == "bench_limits":
    print(json.dumps(dict(read_gbps=40.0, dot_gops=900.0)))
elif name == "llmrt" and words[0] == "bench":
    rows = [dict(tokens_per_s=300.0 if int(value("-p")) and not i else 45.0, bytes_per_token=0.8e9, ops_per_token=2e9)
            for i in range((value("-p") != "0") + (value("-n") != "0"))]
    print(json.dumps(dict(results=rows)))
elif name == "llama-bench":
    print(json.dumps([dict(avg_ts=rate) for flag, rate in (("-p", 100.0), ("-n", 36.0)) if value(flag) != "0"]))
elif name == "llama-batched-bench":
    print("a line of its log")
    print(json.dumps(dict(pl=int(value("-npl")), speed_tg=10.0)))
'''
NAMES = {"ours": ["llmrt", "llmc", "bench_limits"],
         "peer": ["llama-bench", "llama-batched-bench", "llama-completion"]}


class SideBySide(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)
        self.log = self.root / "log"
        for side, names in NAMES.items():
            (self.root / side).mkdir()
            for name in names:
                program = self.root / side / name
                program.write_text(PROGRAM.format(python=sys.executable, log=str(self.log)))
                program.chmod(0o755)
        bench = self.root / "bench"
        bench.mkdir()
        for name in ("1b-q4_g32.fbs", "1b-q4_g128.fbs", "1b-Q4_0.gguf", "1b-Q4_K.gguf"):
            (bench / name).write_text("made already")

    def run_command(self, *words):
        command = [sys.executable, HERE / "side_by_side.py", "--peers", self.root, "--peer-bin", self.root / "peer", "--bin",
                   self.root / "ours", "--shape", "1b", "-o", self.root / "record", *words]
        return subprocess.run(command, capture_output=True, text=True)

    def record(self, *words):
        done = self.run_command(*words)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads((self.root / "record.json").read_text()), (self.root / "record.md").read_text()

    def test_sides_take_turns_with_the_limits_between(self):
        record, table = self.record("--only", "main")
        ran = [line.split()[0] for line in self.log.read_text().splitlines()]
        turn = ["llmrt", "bench_limits", "llama-bench", "bench_limits"]
        self.assertEqual(ran, (["bench_limits"] + turn * 2) * 5)
        self.assertIn("| decode 1b q4_g32, of the read | q4_g32 |  | 90% | 88% | 95% | bar |", table)
        self.assertIn("| prompt 512 1b, next to the better of Q4_0 and Q4_K | q4_g32 | llama Q4_0 | 3.00x |", table)
        self.assertEqual(len(record["samples"]), 5 * 4 * 2)
        self.assertTrue(any("llama-bench" in command for command in record["commands"]))
        self.assertIn("<svg", (self.root / "record.svg").read_text())

    def test_streams_depth_and_start(self):
        _, table = self.record("--only", "streams", "depth", "start", "--quick")
        self.assertIn("| 8 streams | q4_g32 | llama Q4_0 | 4.50x | 3.5x | 4.5x | stretch |", table)
        self.assertIn("| decode at depth 4096 |", table)
        ran = self.log.read_text()
        for words in ("-fa 0", "-fa 1", "-d 8192", "--no-repack --no-warmup", "-npl 16", "-s 16"):
            self.assertIn(words, ran)

    def test_a_failing_program_ends_the_run_with_its_words(self):
        (self.root / "peer/llama-bench").write_text("#!/bin/sh\necho no such model >&2\nexit 3\n")
        done = self.run_command("--only", "main")
        self.assertEqual(done.returncode, 1)
        self.assertIn("failed with status 3: no such model", done.stderr)

    def test_unknown_matches_are_refused(self):
        done = self.run_command("--only", "nothing")
        self.assertEqual(done.returncode, 2)
        self.assertIn("no match is called nothing", done.stderr)


if __name__ == "__main__":
    unittest.main()
