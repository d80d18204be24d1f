#!/usr/bin/env python3
"""The CUDA device without a GPU: llmrt against test/fake_cuda, a libcuda over the host's memory that runs the fake
model's kernels. What comes out, graphs by number of tokens, which code is taken, and one clear error for each thing that
can be wrong."""
import os
import subprocess
import tempfile
import unittest

from common import BIN, ArtifactTest, greedy, llmrt, logits_of, read_npy

FAKE = os.path.join(os.environ["LLMC_FAKE_CUDA"], "fake")
OLD = os.path.join(os.environ["LLMC_FAKE_CUDA"], "old")
IDS = [1, 2, 3, 4, 5, 6, 7, 0, 3, 3, 1]


class CudaTest(ArtifactTest):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.cpu, cls.artifact = (os.path.join(cls.folder.name, name) for name in ("cpu.fbs", "cuda.fbs"))
        subprocess.run([os.path.join(BIN, "make_fake_artifact"), cls.cpu], check=True)
        subprocess.run([os.path.join(BIN, "make_fake_artifact"), cls.artifact, "cuda"], check=True)
        cls.tested = os.path.join(cls.folder.name, "tested.fbs")
        subprocess.run([os.path.join(BIN, "make_fake_artifact"), cls.tested, "cuda", "goldens"], check=True)

    def setUp(self):
        if os.path.exists(self.path("log")):
            os.remove(self.path("log"))

    def environment(self, library=FAKE, **settings):
        return {"LD_LIBRARY_PATH": library, "FAKE_CUDA_LOG": self.path("log"),
                **{"FAKE_CUDA_" + name: str(value) for name, value in settings.items()}}

    def log(self):
        with open(self.path("log")) as file:
            lines = file.read().splitlines()
        self.setUp()
        return lines

    def run_ids(self, *flags, device="cuda", artifact=None, **settings):
        """settings: `library`, and what test/fake_cuda plays."""
        return llmrt("run", artifact or self.artifact, "--ids", ",".join(map(str, IDS)), "--max-tokens", 6,
                     "--temperature", 0, "--ignore-eos", "--print-ids", "--device", device, *flags,
                     environment=self.environment(**settings))

    def refused(self, code, *texts, **options):
        done = self.run_ids("-q", **options)
        self.assertEqual(done.returncode, code, done.stderr)
        self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
        for text in texts:
            self.assertIn(text, done.stderr)

    def test_ids_and_graphs(self):
        done = self.run_ids()
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout.splitlines()[-1], ",".join(map(str, greedy(IDS, 6))))
        lines = self.log()
        # A step of 11 tokens, then of one: each takes the graph of its bucket, with the grids of its largest step. One row
        # of logits is all there can be, so the variant for more is not in the graphs: a copy and two launches.
        launches = [line for line in lines if line.startswith("launch")]
        self.assertEqual(launches[:4], ["launch store groups 16 threads 64 items 11",
                                        "launch score groups 1 threads 64 items 1",
                                        "launch store groups 1 threads 64 items 1",
                                        "launch score groups 1 threads 64 items 1"])
        self.assertEqual([line for line in lines if line.startswith("graph")], ["graph of 3"] * 5)
        self.assertEqual(lines[-1], "released, 0 allocations left")

    def test_graphs_of_many_rows(self):
        done = llmrt("logits", self.artifact, "--ids", ",".join(map(str, IDS)), "-o", self.path("x.npy"), "--device",
                     "cuda", "--chunk", 10, environment=self.environment())
        self.assertEqual(done.returncode, 0, done.stderr)
        lines = self.log()
        # Either variant of a kernel may be wanted by a step of 2 to 16 tokens; the one that is not has no items.
        self.assertEqual([line for line in lines if line.startswith("graph")], ["graph of 3"] + ["graph of 4"] * 4)
        self.assertEqual([line for line in lines if line.startswith("launch")],
                         ["launch store groups 16 threads 64 items 10", "launch score groups 16 threads 64 items 0",
                          "launch score groups 16 threads 64 items 10", "launch store groups 1 threads 64 items 1",
                          "launch score groups 1 threads 64 items 1"])

    def test_logits_in_chunks_and_batches(self):
        sequences = [IDS, [5, 5], [1, 2, 3, 4, 5, 6, 7]]
        batch = self.write("batch.txt", "".join(",".join(map(str, ids)) + "\n" for ids in sequences))
        for flags in ((), ("--chunk", 3), ("--kv-pages", 3), ("--repeat", 2)):
            done = llmrt("logits", self.artifact, "--batch", batch, "-o", self.path("x.npy"), "--device", "cuda", *flags,
                         environment=self.environment())
            self.assertEqual(done.returncode, 0, done.stderr)
            rows = [logits_of(ids[:i + 1]) for ids in sequences for i in range(len(ids))]
            self.assertEqual(read_npy(self.path("x.npy")), rows, flags)

    def test_code_for_the_chip(self):
        for chip, kind in ((90, "cubin"), (80, "ptx"), (75, "ptx"), (103, "ptx")):
            done = self.run_ids(CHIP=chip)
            self.assertEqual(done.returncode, 0, done.stderr)
            modules = [line for line in self.log() if line.startswith("module")]
            self.assertEqual(modules, [f"module {kind} store"] + [f"module {kind} score"] * 2)
        self.refused(1, "no code that Fake GPU 0 (sm_70) runs", "--gpu-arch", CHIP=70)

    def test_cubin_that_the_driver_refuses(self):
        done = self.run_ids(FAIL="cubin=209")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("code for sm_90", done.stderr)
        self.assertIn("CUDA_ERROR_NO_BINARY_FOR_GPU", done.stderr)
        self.refused(1, "code for compute_75", "CUDA_ERROR_UNSUPPORTED_PTX_VERSION", "install a newer one", CHIP=80,
                     FAIL="ptx=222")

    def test_wrong_kernels_give_way(self):
        right = ",".join(map(str, greedy(IDS, 6)))
        wrong = "kernel score for 1 rows failed its self-test: value 0 is 4 and should be 3"

        def ids(device="cuda", *flags, **settings):
            done = self.run_ids(*flags, device=device, artifact=self.tested, **settings)
            self.assertEqual(done.returncode, 0, done.stderr)
            return done.stdout.splitlines()[-1], [line for line in done.stderr.splitlines() if "self-test" in line]

        self.assertEqual(ids(), (right, []))
        self.assertTrue(any(line.startswith("module cubin") for line in self.log()))
        text, lines = ids(WRONG="cubin")  # the PTX is right
        self.assertEqual((text, len(lines)), (right, 1))
        self.assertIn("code for sm_90: " + wrong, lines[0])
        self.assertIn("trying the artifact's next", lines[0])
        self.assertTrue(any(line.startswith("graph") for line in self.log()))
        for device in ("cuda", "auto"):  # of this chip there is nothing but PTX
            text, lines = ids(device, CHIP=80, WRONG="ptx")
            self.assertEqual((text, len(lines)), (right, 1))
            self.assertIn("code for compute_75: " + wrong, lines[0])
            self.assertIn("using the CPU instead", lines[0])
            self.assertFalse(any(line.startswith("graph") for line in self.log()))
        self.assertEqual(ids("cuda", "--no-self-test", CHIP=80, WRONG="ptx")[1], [])
        self.assertTrue(any(line.startswith("graph") for line in self.log()))

    def test_a_tier_is_forced(self):
        done = self.run_ids("--gpu-tier", "compute_75")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertFalse(any(line.startswith("module cubin") for line in self.log()))
        done = self.run_ids("--gpu-tier", "sm_75")
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("no code of the tier sm_75 that Fake GPU 0 (sm_90) runs", done.stderr)

    def test_auto_takes_it(self):
        text = llmrt("inspect", self.artifact, environment=self.environment()).stdout
        self.assertIn("would run on    cuda: this machine has Fake GPU 0 (sm_90), which runs the code for sm_90\n", text)
        self.run_ids(device="auto")
        self.assertTrue(any(line.startswith("launch") for line in self.log()))
        text = llmrt("inspect", self.artifact, environment=self.environment(CHIP=70)).stdout
        self.assertIn("would run on    cpu", text)

    def test_absent(self):
        done = llmrt("run", self.artifact, "--ids", "1,2", "--max-tokens", 1, "--print-ids", "--device", "cuda")
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("the artifact has code for cpu, cuda; this machine has cpu", done.stderr)
        self.refused(1, "there is no CUDA device 3; there are 0: Fake GPU 0 (sm_90); 1: Fake GPU 1 (sm_90)",
                     device="cuda:3", DEVICES=2)
        self.refused(1, "CUDA_ERROR_NO_DEVICE", "CUDA_VISIBLE_DEVICES", DEVICES=0)
        self.refused(1, "is of CUDA 11.2", "11.4 or newer", DRIVER=11020)
        self.refused(1, "lacks cuGraphInstantiateWithFlags", library=OLD)
        self.refused(1, "no code for CUDA", "has code for cpu; this machine has cpu, cuda:0 Fake GPU 0 (sm_90)",
                     artifact=self.cpu)
        self.refused(2, "cuda:N takes the number", device="cuda:x")
        done = self.run_ids(device="cuda:1", DEVICES=2)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_what_fails_is_named(self):
        self.refused(1, "CUDA_ERROR_OUT_OF_MEMORY", "lower --kv-cache-memory-bytes", "Fake GPU 0", FAIL="cuMemAlloc_v2=2@3")
        self.refused(1, "launching a kernel: CUDA_ERROR_INVALID_VALUE", "store", FAIL="cuLaunchKernel=1")
        self.refused(1, "CUDA_ERROR_LAUNCH_FAILED", "compute-sanitizer", FAIL="cuGraphLaunch=719")
        self.refused(1, "CUDA_ERROR_ILLEGAL_ADDRESS", FAIL="cuGraphLaunch=700@3")
        self.refused(1, "making a stream: error 555", FAIL="cuStreamCreate=555")
        self.refused(1, "making a graph", FAIL="cuGraphInstantiateWithFlags=2")
        self.refused(1, "uploading", FAIL="cuMemcpyHtoDAsync_v2=1")
        self.refused(1, "fetching logits", FAIL="cuMemcpyDtoHAsync_v2=700")

    def test_dump(self):
        done = llmrt("inspect", self.artifact, "--dump-kernels", self.path("kernels"))
        self.assertEqual(done.returncode, 0, done.stderr)
        names = sorted(name for name in os.listdir(self.path("kernels")) if name.startswith("cuda"))
        self.assertEqual(len(names), 6)
        self.assertTrue(names[0].startswith("cuda.compute_75.score.r0.") and names[0].endswith(".ptx"), names)
        self.assertTrue(names[3].startswith("cuda.sm_90.score.r0.") and names[3].endswith(".cubin"), names)


del ArtifactTest
if __name__ == "__main__":
    unittest.main()
