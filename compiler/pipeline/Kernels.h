// The phase `kernels`: code segments of all tiers.
#pragma once

#include "codegen/Codegen.h"
#include "compiler/emit/Metadata.h"
#include "compiler/pipeline/Options.h"
#include "compiler/pipeline/Progress.h"

namespace llmc {

std::vector<KernelName> kernelNames(mlir::ModuleOp module);

// One segment a tier, in the order of options.tiers, several tiers at a time.
llvm::Expected<std::vector<codegen::CodeSegment>> buildCode(mlir::ModuleOp module, const CompileOptions &options,
                                                            Progress &progress);

// The kernels of all tiers, which are of one architecture, as objects and registry to be written as options.kernelLibrary.
llvm::Expected<std::vector<codegen::ObjectFile>> buildLibrary(mlir::ModuleOp module, const CompileOptions &options,
                                                              Progress &progress);

// A line a variant, as --compile-to kernels prints it.
void printKernels(mlir::ModuleOp module, llvm::ArrayRef<codegen::CodeSegment> code, llvm::raw_ostream &out);

} // namespace llmc
