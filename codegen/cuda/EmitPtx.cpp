// LLVM's back end for NVIDIA's virtual machine, in process.
#include "codegen/cuda/Cuda.h"

#include "codegen/cpu/Compile.h"

#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Target/TargetMachine.h"

namespace llmc::cuda {

// ptxas unrolls and schedules; here only what it cannot see through is cleaned up.
static constexpr const char *kPipeline =
    "function(sroa,early-cse,instcombine<no-verify-fixpoint>,simplifycfg,loop-mssa(loop-rotate,licm),"
    "instcombine<no-verify-fixpoint>,gvn,adce,simplifycfg)";

static llvm::Expected<std::unique_ptr<llvm::TargetMachine>> makeMachine(llvm::StringRef chip) {
  cpu::initializeTargets();
  std::string error;
  llvm::Triple triple("nvptx64-nvidia-cuda");
  const llvm::Target *target = llvm::TargetRegistry::lookupTarget(triple, error);
  if (!target) return llvm::createStringError("this LLVM cannot make PTX: " + error);
  llvm::TargetOptions options;
  options.AllowFPOpFusion = llvm::FPOpFusion::Strict; // mul.rn and add.rn, which ptxas may not fuse either
  return std::unique_ptr<llvm::TargetMachine>(target->createTargetMachine(
      triple, chip, "", options, llvm::Reloc::PIC_, std::nullopt, llvm::CodeGenOptLevel::Aggressive));
}

llvm::Expected<std::string> emitPtx(llvm::Module &module, llvm::StringRef virtualChip) {
  auto machine = makeMachine(virtualChip);
  if (!machine) return machine.takeError();
  module.setDataLayout((*machine)->createDataLayout());
  module.setTargetTriple((*machine)->getTargetTriple());
  if (llvm::Error error = cpu::optimize(module, **machine, kPipeline)) return std::move(error);
  llvm::SmallVector<char, 0> text;
  llvm::raw_svector_ostream stream(text);
  llvm::legacy::PassManager emission;
  if ((*machine)->addPassesToEmitFile(emission, stream, nullptr, llvm::CodeGenFileType::AssemblyFile))
    return llvm::createStringError("this LLVM cannot write PTX");
  emission.run(module);
  return std::string(text.data(), text.size());
}

} // namespace llmc::cuda
