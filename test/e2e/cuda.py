#!/usr/bin/env python3
"""Compiled models on the CUDA device without a GPU: test/fake_cuda interprets the PTX that is in the artifact. Ids of the
reference, logits against Hugging Face's and the CPU's, the same bits over chunks, no access outside of live memory. Linears
on matrix units twice: as all chips from 8.0 on multiply, and as chip 9.0 does, which the libcuda plays."""
import os
import pathlib

import programs
import vulkan


class Suite(vulkan.Suite):
    """What vulkan.py checks of the portable kernels, on the other device."""

    more = ()  # flags of what has code for CUDA

    def compile(self, folder, *flags, target="cpu,vulkan"):
        more = self.more if "vulkan" in target else ()
        return super().compile(folder, *flags, *more, target=target.replace("vulkan", "cuda"))

    def logits(self, artifact, device, *flags):
        return super().logits(artifact, device.replace("vulkan", "cuda"), *flags)

    def check_refusals(self):
        for model, flags, what in ((vulkan.GOLDEN / "models" / "llama-dynamic", (), "rope scaling 'dynamic'"),
                                   (vulkan.MODELS / "stories260k", ("--kv-cache-dtype", "int8"), "int8 keys and values")):
            code, said = vulkan.failure(self.options.llmc, "compile", model, "--target", "cuda", "-o",
                                        self.work / "none.fbs", "-q", *flags)
            self.tally.check(code == 1 and what in said and "--target cuda" in said, f"{what}: {code}: {said}")


def main():
    parser = programs.arguments(__doc__)
    parser.add_argument("--full", action="store_true", help="all golden models")
    parser.add_argument("--fake", required=True, help="the folder of the tests' libcuda")
    options = parser.parse_args()
    work, tally = programs.work_folder(options), programs.Tally()
    log = pathlib.Path(work) / "cuda.log"
    os.environ.update(LD_LIBRARY_PATH=options.fake, FAKE_CUDA_LOG=str(log))
    suite = Suite(options, work, tally)
    ids = suite.check_reference()
    suite.check_quantized(ids)
    suite.check_types(ids)
    suite.check_matrices(ids)
    suite.more = ("--gpu-arch", "compute_90a")
    suite.check_matrices(ids)
    suite.more = ()
    suite.check_programs(ids)
    suite.check_families()
    lines = log.read_text().splitlines()
    faults = [line for line in lines if line.startswith("fault")]
    modules = [line for line in lines if line.startswith("module")]
    tally.check(not faults, f"faults: {faults[:3]}")
    tally.check(modules and set(modules) == {"module ptx interpreted"}, f"modules: {set(modules)}")
    print(f"{len(modules)} modules interpreted", flush=True)
    tally.finish()


if __name__ == "__main__":
    main()
