// Every SPIR-V module, of tiers that this machine does not run too, with all that llmrt may declare in it, under spirv-val;
// those that an old spirv-val does not know under MLIR's verifier.
#include "codegen/gpu/GpuKernel.h"
#include "runtime/abi/kernel.h"
#include "runtime/device/vulkan/float_controls.h"
#include "test/conformance/KernelHarness.h"
#include "test/conformance/KernelTexts.h"

#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/SPIRV/IR/SPIRVDialect.h"
#include "mlir/Dialect/SPIRV/IR/SPIRVOps.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Target/SPIRV/Deserialization.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Program.h"

#include <cstring>
#include <gtest/gtest.h>
#include <map>
#include <set>

namespace llmc::conformance {
namespace {

using Words = std::vector<uint32_t>;

// The words of what a program writes; empty if it does not run.
std::string said(const std::string &program, std::vector<llvm::StringRef> arguments, int &code) {
  llvm::SmallString<64> file;
  if (llvm::sys::fs::createTemporaryFile("said", "txt", file)) return "";
  std::optional<llvm::StringRef> streams[] = {llvm::StringRef(""), file.str(), file.str()};
  arguments.insert(arguments.begin(), program);
  code = llvm::sys::ExecuteAndWait(program, arguments, std::nullopt, streams);
  auto text = llvm::MemoryBuffer::getFile(file);
  llvm::sys::fs::remove(file);
  return text ? (*text)->getBuffer().str() : "";
}

// What the validator says against the module; empty if nothing.
std::string objections(const std::string &validator, const Words &module) {
  llvm::SmallString<64> file;
  int handle, code = 0;
  if (llvm::sys::fs::createTemporaryFile("module", "spv", handle, file)) return "no temporary file";
  llvm::raw_fd_ostream(handle, true).write(reinterpret_cast<const char *>(module.data()), module.size() * 4);
  std::string text = said(validator, {"--target-env", "vulkan1.1", file}, code);
  llvm::sys::fs::remove(file);
  return code == 0 ? "" : text.empty() ? "it did not run" : text;
}

// LLMC_SPIRV_VAL in the environment: a newer one than the system's.
std::string findValidator() {
  if (const char *named = getenv("LLMC_SPIRV_VAL")) return named;
  auto found = llvm::sys::findProgramByName("spirv-val");
  return found ? *found : "";
}

// Of cooperative matrices of bf16, by the year in "SPIRV-Tools v2025.5": SPV_KHR_bfloat16 is of 2025.
bool knowsMatrices(const std::string &validator) {
  int code = 0, year = 0;
  std::string text = said(validator, {"--version"}, code);
  llvm::StringRef version = llvm::StringRef(text).split('v').second;
  return code == 0 && !version.consumeInteger(10, year) && year >= 2025;
}

bool multipliesMatrices(const Words &module) {
  constexpr uint32_t kCapability = 2 << 16 | 17, kCooperativeMatrix = 6022;
  for (size_t at = 5; at + 1 < module.size() && module[at] == kCapability; at += 2)
    if (module[at + 1] == kCooperativeMatrix) return true;
  return false;
}

// MLIR reads the module back and holds it for one.
bool isReadBack(const Words &module) {
  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  context.loadDialect<mlir::spirv::SPIRVDialect>();
  auto read = mlir::spirv::deserialize(module, &context);
  return read && mlir::succeeded(mlir::verify(*read));
}

// What is wrong with the memory semantics of barriers and atomics, which an old spirv-val does not look at; empty if nothing:
// a barrier orders the workgroup's memory (in Vulkan's memory model it makes it available and visible as well), an atomic
// orders nothing, so that no storage class is missing (VUID-StandaloneSpirv-MemorySemantics-10870).
std::string wrongSemantics(const Words &module) {
  constexpr uint32_t kConstant = 43, kControlBarrier = 224, kFirstAtomic = 227, kLastAtomic = 242; // opcodes
  constexpr uint32_t kAcquireRelease = 0x8, kWorkgroup = 0x100, kAvailable = 0x2000, kVisible = 0x4000;
  std::map<uint32_t, uint32_t> constants;
  for (size_t at = 5; at < module.size(); at += module[at] >> 16) {
    uint32_t opcode = module[at] & 0xffff;
    if (opcode == kConstant) constants[module[at + 2]] = module[at + 3];
    if (opcode == kControlBarrier) {
      uint32_t semantics = constants[module[at + 3]], model = semantics & (kAvailable | kVisible);
      if ((semantics & ~model) != (kAcquireRelease | kWorkgroup) || (model != 0) != multipliesMatrices(module))
        return "a barrier of semantics " + std::to_string(semantics);
      if (model != 0 && model != (kAvailable | kVisible)) return "a barrier that makes memory half seen";
    }
    // Of those that give a value: type, id, pointer, scope, semantics.
    if (opcode >= kFirstAtomic && opcode <= kLastAtomic && constants[module[at + 5]] != 0)
      return "atomic " + std::to_string(opcode) + " of semantics " + std::to_string(constants[module[at + 5]]);
  }
  return "";
}

bool isOfUse(const std::string &text, const codegen::VulkanTier &tier) {
  return withKernel(text, [&](exec::KernelOp kernel) { return codegen::isOfUse(kernel, tier); });
}

TEST(SpirvModules, AreValidInAllTiers) {
  std::string validator = findValidator();
  ASSERT_NE(validator, "") << "spirv-val is not installed: scripts/setup brings it";
  bool knows = knowsMatrices(validator);
  std::string counts;
  size_t matrices = 0;
  for (const codegen::VulkanTier &tier : codegen::vulkanTiers()) {
    std::set<Words> tried;
    for (const std::string &text : textsOfEveryKind()) {
      const Kernel *kernel = kernelIfTaken(text, tier.name);
      if (!kernel) continue;
      bool hasMatrices = (tier.features & LLMRT_FEATURE_MATRIX_BF16) && isOfUse(text, tier);
      for (std::span<const std::byte> module : kernel->modules()) {
        Words words(module.size() / 4);
        std::memcpy(words.data(), module.data(), module.size());
        auto declared = llmrt::vk::declare_float_controls(words, {true, true, true});
        ASSERT_TRUE(declared) << text << ": " << declared.status().message();
        if (!tried.insert(words).second) continue;
        bool multiplies = multipliesMatrices(words);
        EXPECT_EQ(multiplies, hasMatrices) << text << " for " << tier.name;
        matrices += multiplies;
        EXPECT_TRUE(!multiplies || isReadBack(words)) << text;
        EXPECT_EQ(wrongSemantics(words), "") << text << " for " << tier.name;
        if (multiplies && !knows) continue;
        EXPECT_EQ(objections(validator, *declared), "") << text << " for " << tier.name;
      }
    }
    counts += (counts.empty() ? "" : ", ") + std::to_string(tried.size()) + " of " + tier.name;
  }
  printf("SPIR-V modules: %s\n", counts.c_str());
  printf("modules with cooperative matrices: %zu by MLIR's verifier, %zu of them by spirv-val\n", matrices, knows ? matrices : 0);
}

// The modules of a kernel, of one that the device's row refuses because another row has it too.
std::vector<Words> modulesOf(const std::string &text, const TestDevice &device) {
  auto wordsOf = [](const Kernel &kernel) {
    std::vector<Words> all;
    for (std::span<const std::byte> module : kernel.modules()) {
      all.emplace_back(module.size() / 4);
      std::memcpy(all.back().data(), module.data(), module.size());
    }
    return all;
  };
  if (const Kernel *kernel = kernelIfTaken(text, device.name)) return wordsOf(*kernel);
  return wordsOf(Kernel(text, device.name, withKernel(text, [&](exec::KernelOp kernel) {
    return llvm::cantFail(device.build(kernel));
  })));
}

// What llmc leaves out of an artifact, and what a row of the table of devices leaves to the one before.
TEST(SpirvModules, AreThoseOfTheTierBeforeWhereItsFeaturesAreOfNoUse) {
  std::string counts;
  for (size_t i = 1; i < codegen::vulkanTiers().size(); ++i) {
    const codegen::VulkanTier &tier = codegen::vulkanTiers()[i];
    const TestDevice &device = findDevice(tier.name), &before = findDevice(codegen::vulkanTiers()[i - 1].name);
    size_t same = 0, all = 0;
    for (const std::string &text : textsOfEveryKind()) {
      if (!withKernel(text, gpu::refusal).empty()) continue;
      bool isSame = modulesOf(text, device) == modulesOf(text, before), isWanted = isOfUse(text, tier);
      EXPECT_EQ(isSame, !isWanted) << text << " for " << tier.name;
      EXPECT_TRUE(!isWanted || withKernel(text, device.refusal).empty()) << text << " for " << tier.name;
      same += isSame;
      ++all;
    }
    counts += (counts.empty() ? "" : ", ") + std::to_string(same) + " of " + std::to_string(all) + " of " + tier.name;
  }
  printf("kernels with the modules of the tier before: %s\n", counts.c_str());
}

// What building a kernel without memory says when its workgroup has that many words.
std::string builtWith(int64_t words) {
  const char *text = "exec.kernel @k \"map\" {rows = 1 : i64, vectors = 0 : i64} epilogue (%x: f32) { llm.yield %x }";
  return withKernel(text, [&](exec::KernelOp kernel) {
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
