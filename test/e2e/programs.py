"""What the end-to-end tests share: the programs under test and a tally in the form that test runners print."""
import argparse
import pathlib
import shlex
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


def arguments(description, llmc=True):
    parser = argparse.ArgumentParser(description=description)
    if llmc:
        parser.add_argument("--llmc", required=True, help="the llmc program")
    parser.add_argument("--llmrt", required=True, help="the llmrt program, with its emulator if it needs one")
    parser.add_argument("--tiers", default="", help="CPU tiers to run on, separated by commas; empty: the machine's best")
    parser.add_argument("--work", help="folder for artifacts; a temporary one if absent")
    return parser


def machine_tiers():
    """The tiers this machine runs, plainest first."""
    flags = set(pathlib.Path("/proc/cpuinfo").read_text().split())
    tiers = [("x86-64-v3", "avx2"), ("x86-64-v4", "avx512bw"), ("x86-64-v4-vnni", "avx512_vnni"),
             ("x86-64-v4-vnni-bf16", "avx512_bf16"), ("x86-64-v4-amx", "amx_int8"),
             ("x86-64-v4-amx-bf16", "amx_int8"),
             ("arm64-dotprod", "asimddp")]
    return [tier for tier, flag in tiers if flag in flags]


def work_folder(options):
    if options.work:
        pathlib.Path(options.work).mkdir(parents=True, exist_ok=True)
        return pathlib.Path(options.work)
    holder = tempfile.TemporaryDirectory(prefix="llmc-e2e-")
    options.holder = holder  # lives as long as the options
    return pathlib.Path(holder.name)


def run(program, *args, **options):
    """Runs PROGRAM ARGS; returns its stdout. Anything but exit code 0 is an error with what it said."""
    command = shlex.split(str(program)) + [str(a) for a in args]
    done = subprocess.run(command, capture_output=True, text=True, **options)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: exit code {done.returncode}\n{done.stderr[-2000:]}")
    return done.stdout


class Tally:
    def __init__(self):
        self.passed, self.failed = 0, 0

    def check(self, ok, what):
        if ok:
            self.passed += 1
        else:
            self.failed += 1
            print(f"FAILED: {what}", flush=True)

    def finish(self):
        print(f"{self.passed} passed, {self.failed} failed")
        sys.exit(1 if self.failed or not self.passed else 0)
