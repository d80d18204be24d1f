#include "models/Registry.h"

#include "dialects/llm/Llm.h"
#include "models/ConfigReader.h"
#include "models/Families.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Verifier.h"
#include "llvm/ADT/STLExtras.h"

namespace llmc::models {

const std::vector<Family> &families() {
  static const std::vector<Family> table = {llamaFamily(), mistralFamily(), qwen2Family(), qwen3Family(), gpt2Family()};
  return table;
}

static std::string supported() {
  std::string list;
  for (const Family &family : families())
    for (const char *type : family.modelTypes)
      list += (list.empty() ? "" : ", ") + std::string(type);
  return list;
}

static bool accepts(const Family &family, const nlohmann::json &name, bool architecture) {
  if (!name.is_string())
    return false;
  const auto &names = architecture ? family.architectures : family.modelTypes;
  return llvm::is_contained(names, name.get_ref<const std::string &>());
}

// model_type decides; architectures, where they are there, must name a class that gives logits.
static llvm::Expected<const Family *> pick(const nlohmann::json &config) {
  auto problem = [](const llvm::Twine &what) { return llvm::createStringError("config.json: " + what); };
  if (!config.is_object())
    return problem("the file holds " + describe(config) + "; it must hold one JSON object");
  const nlohmann::json none;
  // By reference: a copy of a hostile value may nest without end.
  auto field = [&](const char *name) -> const nlohmann::json & {
    auto found = config.find(name);
    return found == config.end() ? none : *found;
  };
  const nlohmann::json &type = field("model_type"), &classes = field("architectures");
  if (!classes.is_null() && (!classes.is_array() || classes.empty()))
    return problem("\"architectures\" is " + describe(classes) + "; it must be a list of class names or missing");
  if (type.is_null() && classes.is_null())
    return problem("there is neither \"model_type\" nor \"architectures\"; supported model types are " + supported());
  for (const Family &family : families()) {
    bool byType = accepts(family, type, false);
    bool byClass = llvm::any_of(classes, [&](const nlohmann::json &name) { return accepts(family, name, true); });
    if (byType && (byClass || classes.is_null()))
      return &family;
    if (type.is_null() && byClass)
      return &family;
    if (byType)
      return problem("\"architectures\" is [" + describe(classes.front()) + "]; of model_type " + family.name +
                     " only " + family.architectures.front() + " is supported, which gives logits");
  }
  if (type.is_null())
    return problem("\"architectures\" is [" + describe(classes.front()) +
                   "], which no family supports; supported model types are " + supported());
  return problem("\"model_type\" is " + describe(type) + "; supported are " + supported() +
                 " (llmc families says more)");
}

llvm::Expected<ImportedModel> importModel(mlir::MLIRContext &context, const nlohmann::json &config) {
  llvm::Expected<const Family *> family = pick(config);
  if (!family)
    return family.takeError();
  context.loadDialect<llm::LlmDialect, mlir::func::FuncDialect, mlir::arith::ArithDialect>();
  llvm::Expected<ImportedModel> model = (*family)->import(context, config);
  if (!model)
    return model.takeError();
  (*model->module)->setAttr("llm.family", mlir::StringAttr::get(&context, (*family)->name));
  if (mlir::failed(mlir::verify(*model->module)))
    return llvm::createStringError(llvm::Twine("the import of family ") + (*family)->name +
                                   " made IR that does not verify; this is a bug, please report the config.json");
  return model;
}

} // namespace llmc::models
