"""The C example, as built against libllmrt.a; what the shared library exports; sizes."""
import os
import shutil
import subprocess
import unittest

from common import BIN, LLMRT, ArtifactTest, greedy

LIB = os.environ["LLMC_LIB"]
SANITIZED = bool(os.environ.get("LLMC_SANITIZE"))


def needed(path):
    out = subprocess.run(["readelf", "-d", path], capture_output=True, text=True, check=True).stdout
    return {line.split("[")[1].split("]")[0] for line in out.splitlines() if "(NEEDED)" in line}


LIBC = {"libc.so.6", "libm.so.6", "libpthread.so.0", "libdl.so.2", "librt.so.1", "ld-linux-x86-64.so.2",
        "ld-linux-aarch64.so.1"}


class CApi(ArtifactTest):
    def complete(self, *arguments):
        return subprocess.run([os.path.join(BIN, "complete"), *map(str, arguments)], capture_output=True, text=True,
                              timeout=60)

    def test_the_example_runs(self):
        done = self.complete(self.artifact, "1,5,3", 6)
        self.assertEqual(done.returncode, 0, done.stderr)
        ids = greedy([1, 5, 3], 6)
        ids = ids[:ids.index(2) + 1] if 2 in ids else ids  # 2 ends a text
        self.assertEqual(done.stdout, "".join("%d " % i for i in ids) + "\n%d tokens\n" % len(ids))

    def test_its_errors(self):
        self.assertEqual(self.complete().returncode, 2)
        done = self.complete("/nothing.fbs", "1")
        self.assertEqual(done.returncode, 1)
        self.assertIn("/nothing.fbs", done.stderr)
        self.assertIn("no tokenizer", self.complete(self.artifact, "text").stderr)

    @unittest.skipIf(SANITIZED, "the sanitizers' runtime comes along")
    def test_only_libc_is_needed(self):
        for path in (LLMRT, os.path.join(BIN, "complete"), os.path.join(LIB, "libllmrt.so")):
            if os.path.exists(path):
                self.assertLessEqual(needed(path), LIBC, path)

    @unittest.skipUnless(os.environ.get("LLMC_BUILD_TYPE") == "MinSizeRel", "sizes are those of what is shipped")
    def test_sizes(self):
        def stripped(path):
            copy = self.path("stripped")
            subprocess.run(["strip", "-o", copy, path], check=True)
            return os.path.getsize(copy)

        source = self.write("empty.c", "int main(void) { return 0; }\n")
        subprocess.run(["cc", "-Os", source, "-o", self.path("empty")], check=True)
        self.assertLessEqual(stripped(LLMRT), 3 << 20)
        self.assertLessEqual(stripped(os.path.join(BIN, "complete")), stripped(self.path("empty")) + (1 << 20))

    @unittest.skipUnless(shutil.which("nm"), "needs nm")
    def test_the_shared_library_exports_its_api_alone(self):
        library = os.path.join(LIB, "libllmrt.so")
        if SANITIZED or not os.path.exists(library):
            self.skipTest("not built")
        out = subprocess.run(["nm", "-D", "--defined-only", library], capture_output=True, text=True, check=True).stdout
        names = {line.split()[-1].split("@")[0] for line in out.splitlines()}
        self.assertEqual({n for n in names if not n.startswith("llmrt_") and n != "LLMRT_1"}, set())
        self.assertIn("llmrt_submit", names)


if __name__ == "__main__":
    unittest.main()
