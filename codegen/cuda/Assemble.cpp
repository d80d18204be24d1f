// ptxas of the CUDA toolkit as a program beside us: PTX goes in and a cubin comes out as a file.
#include "codegen/common/TemporaryFile.h"
#include "codegen/cuda/Cuda.h"

#include "llvm/ADT/ScopeExit.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Process.h"
#include "llvm/Support/Program.h"

namespace llmc {

using namespace llvm;

namespace codegen {

std::string findPtxas() {
  if (auto found = sys::findProgramByName("ptxas")) return *found;
  SmallString<128> path(sys::Process::GetEnv("CUDA_HOME").value_or("/usr/local/cuda"));
  sys::path::append(path, "bin", "ptxas");
  return sys::fs::can_execute(path) ? std::string(path) : "";
}

} // namespace codegen

namespace cuda {

static std::string contents(StringRef path) {
  auto buffer = MemoryBuffer::getFile(path);
  return buffer ? (*buffer)->getBuffer().str() : std::string();
}

Expected<std::vector<char>> assemble(StringRef assembler, StringRef ptx, StringRef chip) {
  std::vector<std::string> paths;
  scope_exit remove([&] {
    for (const std::string &path : paths) sys::fs::remove(path);
  });
  const std::pair<StringRef, StringRef> files[] = {{"ptx", ptx}, {"cubin", ""}, {"txt", ""}};
  for (auto [suffix, content] : files) {
    auto path = codegen::writeTemporary(suffix, content);
    if (!path) return path.takeError();
    paths.push_back(*path);
  }
  std::string architecture = ("-arch=" + chip).str(), problem;
  // No fused products beyond those that the text names.
  StringRef arguments[] = {assembler, architecture, "-O3", "-fmad=false", "-o", paths[1], paths[0]};
  std::optional<StringRef> streams[] = {StringRef(""), StringRef(paths[2]), StringRef(paths[2])};
  int code = sys::ExecuteAndWait(assembler, arguments, std::nullopt, streams, 0, 0, &problem);
  if (code != 0)
    return createStringError(assembler + " for " + chip + " failed (" + std::to_string(code) + "): " + problem +
                             contents(paths[2]));
  std::string cubin = contents(paths[1]);
  if (cubin.empty()) return createStringError(assembler + " for " + chip + " wrote nothing");
  return std::vector<char>(cubin.begin(), cubin.end());
}

} // namespace cuda

} // namespace llmc
