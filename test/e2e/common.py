"""What the end-to-end tests share: programs, the made-up model's rule, npy files."""
import os
import subprocess
import tempfile
import unittest

import npy

BIN = os.environ["LLMC_BIN"]
LLMRT = os.path.join(BIN, "llmrt")
VOCABULARY = 8


def logits_of(ids):
    """The last row of logits: see runtime/artifact/testing/fake_model.h."""
    return [(sum(ids) + 7 * j) % VOCABULARY + j / 16 for j in range(VOCABULARY)]


def greedy(ids, count):
    ids, out = list(ids), []
    for _ in range(count):
        row = logits_of(ids)
        out.append(row.index(max(row)))
        ids.append(out[-1])
    return out


def read_npy(path):
    (rows, columns), values = npy.read(path)
    return [list(values[i * columns:(i + 1) * columns]) for i in range(rows)]


def llmrt(*arguments, input=None, environment=None):
    return subprocess.run([LLMRT, *map(str, arguments)], input=input, capture_output=True, text=True, timeout=120,
                          env={**os.environ, **(environment or {})})


class ArtifactTest(unittest.TestCase):
    """Makes the artifact once a class, in a folder that goes away."""

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.artifact = os.path.join(cls.folder.name, "fake.fbs")
        subprocess.run([os.path.join(BIN, "make_fake_artifact"), cls.artifact], check=True)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def write(self, name, text):
        with open(self.path(name), "w") as file:
            file.write(text)
        return self.path(name)

    def good(self, *arguments, **options):
        done = llmrt(*arguments, **options)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done

    def bad(self, code, text, *arguments, **options):
        done = llmrt(*arguments, **options)
        self.assertEqual(done.returncode, code, done.stderr)
        self.assertIn(text, done.stderr)
        self.assertEqual(done.stdout, "")
