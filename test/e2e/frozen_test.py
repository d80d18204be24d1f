"""Artifacts of every format version so far open, verify and give what they gave when they were made."""
import gzip
import hashlib
import json
import pathlib
import struct
import unittest

import npy
from common import ArtifactTest, llmrt

FROZEN = pathlib.Path(__file__).resolve().parent.parent / "frozen"


def joined(ids):
    return ",".join(map(str, ids))


class Frozen(ArtifactTest):
    def check(self, packed):
        artifact = self.path("frozen.fbs")
        pathlib.Path(artifact).write_bytes(gzip.decompress(packed.read_bytes()))
        expected = json.loads(pathlib.Path(str(packed)[:-len(".fbs.gz")] + ".json").read_text())
        inspected = json.loads(self.good("inspect", artifact, "--json").stdout)
        self.assertEqual(inspected["root_hash"], expected["root_hash"])
        ids = json.loads(self.good("tokenize", artifact, "--jsonl", input=json.dumps(expected["text"]) + "\n").stdout)
        self.assertEqual(ids, expected["prompt_ids"])
        done = self.good("run", artifact, "--device", "cpu", "--verify-weights", "--ids", joined(ids), "--max-tokens",
                         len(expected["ids"]), "--temperature", 0, "--ignore-eos", "--print-ids", "-q")
        self.assertEqual(done.stdout.strip().splitlines()[-1], joined(expected["ids"]))
        self.good("logits", artifact, "--device", "cpu", "--ids", joined(ids + expected["ids"]), "-o",
                  self.path("logits.npy"))
        shape, logits = npy.read(self.path("logits.npy"))
        self.assertEqual(list(shape), expected["logits_shape"])
        bits = hashlib.sha256(struct.pack(f"<{len(logits)}f", *logits)).hexdigest()
        self.assertEqual(bits, expected["logits_sha256"])

    def test_every_version(self):
        packed = sorted(FROZEN.glob("*/*.fbs.gz"))
        self.assertTrue(packed)
        for file in packed:
            with self.subTest(file.parent.name + "/" + file.name):
                self.check(file)

    def test_damage_is_seen(self):
        packed = sorted(FROZEN.glob("*/*.fbs.gz"))[0]
        data = bytearray(gzip.decompress(packed.read_bytes()))
        data[-100] ^= 1  # in the weights, which only --verify-weights reads whole
        pathlib.Path(self.path("damaged.fbs")).write_bytes(data)
        done = llmrt("run", self.path("damaged.fbs"), "--verify-weights", "--ids", "1", "--max-tokens", 1)
        self.assertEqual(done.returncode, 1)
        self.assertIn("weights", done.stderr)


if __name__ == "__main__":
    unittest.main()
