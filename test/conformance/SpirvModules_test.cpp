// Every SPIR-V module, of tiers that this machine does not run too, with all that llmrt may declare in it, under spirv-val.
#include "runtime/device/vulkan/float_controls.h"
#include "test/conformance/KernelHarness.h"
#include "test/conformance/KernelTexts.h"

#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Program.h"

#include <cstring>
#include <gtest/gtest.h>
#include <set>

namespace llmc::conformance {
namespace {

using Words = std::vector<uint32_t>;

// What the validator says against the module; empty if nothing.
std::string objections(const std::string &validator, const Words &module) {
  llvm::SmallString<64> file, said;
  int handle;
  if (llvm::sys::fs::createTemporaryFile("module", "spv", handle, file) ||
      llvm::sys::fs::createTemporaryFile("said", "txt", said))
    return "no temporary file";
  llvm::raw_fd_ostream(handle, true).write(reinterpret_cast<const char *>(module.data()), module.size() * 4);
  std::optional<llvm::StringRef> streams[] = {llvm::StringRef(""), said.str(), said.str()};
  int code = llvm::sys::ExecuteAndWait(validator, {validator, "--target-env", "vulkan1.1", file}, std::nullopt, streams);
  auto text = llvm::MemoryBuffer::getFile(said);
  llvm::sys::fs::remove(file), llvm::sys::fs::remove(said);
  return code == 0 ? "" : text ? (*text)->getBuffer().str() : "it did not run";
}

TEST(SpirvModules, AreValidInAllTiers) {
  auto validator = llvm::sys::findProgramByName("spirv-val");
  ASSERT_TRUE(validator) << "spirv-val is not installed: scripts/setup brings it";
  std::string counts;
  for (const codegen::VulkanTier &tier : codegen::vulkanTiers()) {
    std::set<Words> tried;
    for (const std::string &text : textsOfEveryKind()) {
      const Kernel *kernel = kernelIfTaken(text, tier.name);
      if (!kernel) continue;
      for (std::span<const std::byte> module : kernel->modules()) {
        Words words(module.size() / 4);
        std::memcpy(words.data(), module.data(), module.size());
        auto declared = llmrt::vk::declare_float_controls(words, {true, true, true});
        ASSERT_TRUE(declared) << text << ": " << declared.status().message();
        if (!tried.insert(words).second) continue;
        EXPECT_EQ(objections(*validator, *declared), "") << text << " for " << tier.name;
      }
    }
    counts += (counts.empty() ? "" : ", ") + std::to_string(tried.size()) + " of " + tier.name;
  }
  printf("modules under spirv-val: %s\n", counts.c_str());
}

// What building a kernel says when its workgroup has that many words more of memory.
std::string builtWith(int64_t words) {
  return withKernel(textsOfEveryKind().back(), [&](exec::KernelOp kernel) {
    auto grow = [&](mlir::gpu::GPUFuncOp function) {
      mlir::Builder b(function.getContext());
      auto space = mlir::gpu::AddressSpaceAttr::get(b.getContext(), mlir::gpu::AddressSpace::Workgroup);
      auto type = mlir::MemRefType::get({words}, b.getI32Type(), mlir::MemRefLayoutAttrInterface{}, space);
      function.addWorkgroupAttribution(type, function.getLoc());
    };
    auto built = buildChanged(kernel, findDevice("spirv1.3"), [&](mlir::ModuleOp module) { module.walk(grow); });
    return built ? std::string() : llvm::toString(built.takeError());
  });
}

TEST(SpirvModules, HaveNoMoreMemoryThanEveryDevice) {
  EXPECT_EQ(builtWith(16384 / 4), "");
  std::string said = builtWith(16384 / 4 + 1);
  EXPECT_NE(said.find("16388 bytes of memory; every device has 16384"), std::string::npos) << said;
}

} // namespace
} // namespace llmc::conformance
