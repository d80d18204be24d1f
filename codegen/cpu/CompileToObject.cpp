#include "codegen/cpu/Compile.h"

#include "mlir/Target/LLVMIR/Export.h"
#include "llvm/IR/DiagnosticInfo.h"
#include "llvm/IR/DiagnosticPrinter.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"

#include <mutex>

namespace llmc::cpu {

namespace {

constexpr const char *kStackLimit = "4096"; // bytes; runtime/abi/kernel.h

llvm::Expected<std::unique_ptr<llvm::TargetMachine>> makeMachine(const codegen::CpuTier &tier) {
  initializeTargets();
  std::string error;
  llvm::Triple triple(tier.triple);
  const llvm::Target *target = llvm::TargetRegistry::lookupTarget(triple, error);
  if (!target) return llvm::createStringError("tier " + llvm::Twine(tier.name) + ": " + error);
  llvm::TargetOptions options;
  options.AllowFPOpFusion = llvm::FPOpFusion::Strict; // a product and a sum are an fma only where we say so
  options.FunctionSections = false;
  return std::unique_ptr<llvm::TargetMachine>(
      target->createTargetMachine(triple, tier.cpu, tier.llvmFeatures, options, llvm::Reloc::PIC_,
                                  llvm::CodeModel::Small, llvm::CodeGenOptLevel::Aggressive));
}

// No library calls, no red zone (a signal handler may run on the stack), no unwinding, a bounded frame.
void setAttributes(llvm::Module &module, const codegen::CpuTier &tier) {
  for (llvm::Function &function : module) {
    if (function.isDeclaration()) continue;
    function.addFnAttr(llvm::Attribute::NoRedZone);
    function.addFnAttr(llvm::Attribute::NoUnwind);
    function.addFnAttr("no-builtins");
    function.addFnAttr("target-cpu", tier.cpu);
    function.addFnAttr("target-features", tier.llvmFeatures);
    function.addFnAttr("warn-stack-size", kStackLimit);
    if (tier.vectorBits == 512) {
      function.addFnAttr("prefer-vector-width", "512");
      function.addFnAttr("min-legal-vector-width", "512");
    }
  }
}

// What straight vector code profits from. No unrolling, no vectorising: kernels are unrolled as far as their registers
// reach, and a loop unrolled further spills.
constexpr const char *kPipeline =
    "function(sroa,early-cse,instcombine<no-verify-fixpoint>,simplifycfg,loop-mssa(loop-rotate,licm),"
    "instcombine<no-verify-fixpoint>,gvn<no-pre;no-load-pre;no-split-backedge-load-pre>,adce,simplifycfg)";

// Collects what the back end complains about; a frame over the limit is a complaint.
struct Complaints : llvm::DiagnosticHandler {
  std::string &text;
  explicit Complaints(std::string &text) : text(text) {}
  bool handleDiagnostics(const llvm::DiagnosticInfo &info) override {
    if (info.getSeverity() > llvm::DS_Warning) return true;
    llvm::raw_string_ostream stream(text);
    llvm::DiagnosticPrinterRawOStream printer(stream);
    info.print(printer);
    stream << '\n';
    return true;
  }
};

} // namespace

void initializeTargets() {
  static std::once_flag once;
  std::call_once(once, [] {
    llvm::InitializeAllTargetInfos();
    llvm::InitializeAllTargets();
    llvm::InitializeAllTargetMCs();
    llvm::InitializeAllAsmPrinters();
  });
}

llvm::Error optimize(llvm::Module &module, llvm::TargetMachine &machine, const char *pipeline) {
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager sccs;
  llvm::ModuleAnalysisManager modules;
  llvm::PassBuilder builder(&machine);
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(sccs);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, sccs, modules);
  llvm::ModulePassManager passes;
  if (llvm::Error error = builder.parsePassPipeline(passes, pipeline)) return error;
  passes.run(module, modules);
  return llvm::Error::success();
}

llvm::Expected<llvm::SmallVector<char, 0>> compileModule(llvm::Module &code, const codegen::CpuTier &tier) {
  auto machine = makeMachine(tier);
  if (!machine) return machine.takeError();
  std::string complaints;
  code.getContext().setDiagnosticHandler(std::make_unique<Complaints>(complaints));
  code.setDataLayout((*machine)->createDataLayout());
  code.setTargetTriple(llvm::Triple(tier.triple));
  setAttributes(code, tier);
  if (llvm::Error error = optimize(code, **machine, kPipeline)) return std::move(error);

  llvm::SmallVector<char, 0> object;
  llvm::raw_svector_ostream stream(object);
  llvm::legacy::PassManager emission;
  if ((*machine)->addPassesToEmitFile(emission, stream, nullptr, llvm::CodeGenFileType::ObjectFile))
    return llvm::createStringError("tier " + llvm::Twine(tier.name) + " cannot emit object files");
  emission.run(code);
  if (!complaints.empty())
    return llvm::createStringError("compiling kernels for " + llvm::Twine(tier.name) + ": " + complaints);
  return object;
}

llvm::Expected<llvm::SmallVector<char, 0>> compileToObject(mlir::ModuleOp module, const codegen::CpuTier &tier) {
  llvm::LLVMContext context;
  std::unique_ptr<llvm::Module> code = mlir::translateModuleToLLVMIR(module, context, "kernels");
  if (!code) return llvm::createStringError("translating the kernels to LLVM IR failed");
  return compileModule(*code, tier);
}

} // namespace llmc::cpu
