# Tests of the compile side's IR: what llmc-opt makes of a file, checked by FileCheck.
import os
import lit.formats

config.name = "llmc"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".mlir"]
config.test_source_root = os.path.dirname(__file__)
config.test_exec_root = os.path.join(config.llmc_binary_dir, "lit")
path = [config.llmc_tools_dir, config.llvm_tools_dir, os.environ["PATH"]]
config.environment["PATH"] = os.pathsep.join(path)
# Containers and allocators shared with a libMLIR built without sanitizers need ASAN_OPTIONS (see CMakeLists.txt).
for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS"):
    if name in os.environ:
        config.environment[name] = os.environ[name]
