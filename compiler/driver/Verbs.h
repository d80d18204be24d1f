// The verbs. Each adds its flags to the command line and hands back what runs when it was chosen.
#pragma once

#include "llvm/Support/Error.h"

#include <CLI/CLI.hpp>
#include <functional>
#include <string>

namespace llmc {

// Wrong usage, or something that exists by name only: exit code 2.
class UsageError : public llvm::ErrorInfo<UsageError> {
public:
  static char ID;
  explicit UsageError(const llvm::Twine &message) : text(message.str()) {}
  void log(llvm::raw_ostream &out) const override { out << text; }
  std::error_code convertToErrorCode() const override { return llvm::inconvertibleErrorCode(); }

private:
  std::string text;
};

inline llvm::Error usageError(const llvm::Twine &message) { return llvm::make_error<UsageError>(message); }

using Verb = std::function<llvm::Error()>;

Verb addCompile(CLI::App &app);
Verb addExportWeights(CLI::App &app);
Verb addInspect(CLI::App &app);
Verb addVerify(CLI::App &app);
Verb addFamilies(CLI::App &app);

// "random:SEED"; anything else is wrong usage.
llvm::Expected<uint64_t> parseRandomWeights(const std::string &text);
// Formats that exist and are not read yet.
llvm::Error refuseModel(llvm::StringRef model);

} // namespace llmc
