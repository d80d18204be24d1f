#!/usr/bin/env python3
"""serve_side_by_side.py from its command line to its record. The peer is llmrt itself, which takes llama-server's flags."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
BIN = pathlib.Path(os.environ["LLMC_BIN"])


class ServeSideBySide(unittest.TestCase):
    def test_rounds_add_up_in_the_record(self):
        with tempfile.TemporaryDirectory() as folder:
            work = pathlib.Path(folder)
            subprocess.run([BIN / "make_fake_artifact", work / "fake.fbs"], check=True)
            peer = work / "peer"
            peer.write_text(f'#!/bin/sh\nexec {BIN / "llmrt"} serve "$@"\n')
            peer.chmod(0o755)
            command = [sys.executable, HERE / "serve_side_by_side.py", "--llmrt", BIN / "llmrt", "--artifact",
                       work / "fake.fbs", "--llama-server", peer, "--gguf", work / "fake.fbs", "--streams", "1,3",
                       "--input-len", "5", "--output-len", "4", "-o", work / "record"]
            for _ in range(2):
                subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            record = json.loads((work / "record.json").read_text())
            self.assertEqual({streams: len(rounds) for streams, rounds in record["samples"].items()}, {"1": 2, "3": 2})
            for pair in record["samples"]["3"]:
                for side in ("llmrt", "llama-server"):
                    self.assertGreater(pair[side]["output_throughput"], 0)
                    self.assertIn("3", pair[side]["client"])
                self.assertIn("-np", pair["llama-server"]["server"])
            table = (work / "record.md").read_text()
            self.assertIn("\n| 1 | 2 | ", table)
            self.assertIn("\n| 3 | 2 | ", table)


if __name__ == "__main__":
    unittest.main()
