#!/usr/bin/env python3
"""The three ways of loading kernels give the same bits: mapped from the file, copied into memory, and linked into the
program out of the archive that llmc compile --emit-kernels writes."""
import os
import subprocess

import programs

HERE = programs.ROOT / "test" / "e2e"
MODEL = programs.ROOT / "test" / "models" / "stories260k"
SCHEMES = {"f32": "none", "q4": "q4_g32"}


def compile_model(llmc, work, name, tiers):
    """work/NAME.fbs, NAME.a and NAME.h."""
    work.mkdir(exist_ok=True)
    programs.run(llmc, "compile", MODEL, "--quantization", SCHEMES[name], "--cpu-tier", ",".join(tiers), "-q",
                 "-o", work / f"{name}.fbs", "--emit-kernels", work / f"{name}.a")


def logits(program, artifact, way, tier):
    done = subprocess.run([program, artifact, way, tier], capture_output=True)
    return done.stdout if done.returncode == 0 else done.stderr.decode()


def main():
    parser = programs.arguments(__doc__)
    parser.add_argument("--library", dest="libllmrt", required=True, help="libllmrt.a")
    options = parser.parse_args()
    work, tally = programs.work_folder(options), programs.Tally()
    tiers = programs.machine_tiers()
    for name in SCHEMES:
        compile_model(options.llmc, work, name, tiers)
        compile_model(options.llmc, work / "again", name, tiers)
        for file in (f"{name}.a", f"{name}.h"):
            tally.check((work / file).read_bytes() == (work / "again" / file).read_bytes(), f"{file} is not reproducible")
    program = work / "static_kernels"
    programs.run(os.environ.get("CC", "cc"), "-Wall", "-Wextra", "-Werror", "-I", work, "-I",
                 programs.ROOT / "runtime" / "include", HERE / "static_kernels.c", work / "f32.a", work / "q4.a",
                 options.libllmrt, "-lstdc++", "-lm", "-lpthread", "-o", program)
    for name in SCHEMES:
        for tier in tiers:
            mapped = logits(program, work / f"{name}.fbs", "map", tier)
            tally.check(isinstance(mapped, bytes) and len(mapped) == 40 * 512 * 4, f"{name} {tier}, mapped: {mapped[:200]}")
            for way in ("copy", name):
                other = logits(program, work / f"{name}.fbs", way, tier)
                tally.check(other == mapped, f"{name} {tier}: the logits of '{way}' differ from those of the mapped kernels")
    wrong = logits(program, work / "q4.fbs", "f32", tiers[0])
    tally.check("is not linked into this program" in str(wrong), f"kernels that are not linked: {wrong[:200]}")
    ios = work / "ios.a"
    programs.run(options.llmc, "compile", MODEL, "--cpu-tier", "arm64-dotprod", "-q", "-o", work / "ios.fbs",
                 "--emit-kernels", ios, "--emit-kernels-for", "ios")
    tally.check(ios.read_bytes().startswith(b"!<arch>\n") and b"\xcf\xfa\xed\xfe" in ios.read_bytes(), "no Mach-O in ios.a")
    tally.finish()


if __name__ == "__main__":
    main()
