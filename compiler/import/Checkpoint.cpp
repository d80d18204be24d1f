// From what the user names to the files of a model.
#include "compiler/import/Checkpoint.h"
#include "compiler/import/Config.h"
#include "compiler/import/Json.h"
#include "compiler/import/Safetensors.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

namespace llmc {
namespace {

namespace fs = llvm::sys::fs;
namespace path = llvm::sys::path;

constexpr const char *kWhatAModelIs = "MODEL is a Hugging Face folder, a .safetensors file with its config.json "
                                      "beside it, or a model.safetensors.index.json";

// Where everything is: the folder, the config in it, and the weights if they were named or found.
struct Places {
  std::string folder, config, weights;
};

std::string pathIn(llvm::StringRef folder, llvm::StringRef name) {
  llvm::SmallString<128> result(folder);
  path::append(result, name);
  return result.str().str();
}

bool isIndex(llvm::StringRef name) { return name.ends_with(".index.json"); }

// Formats that exist and that this compiler does not read: by name, so that the message can say what to do.
llvm::Error refuseFormat(llvm::StringRef model) {
  llvm::StringRef extension = path::extension(model);
  if (extension == ".gguf")
    return importError(model, "GGUF is not supported yet; give the Hugging Face folder that it was made from");
  for (llvm::StringRef pickled : {".bin", ".pt", ".pth", ".ckpt", ".pkl"})
    if (extension == pickled)
      return importError(model, "pickled weights can run code and are not read; save the model as safetensors "
                                "(model.save_pretrained(FOLDER) in transformers does)");
  return importError(model, llvm::Twine("not a kind of file that is known; ") + kWhatAModelIs);
}

llvm::Expected<Places> findInFolder(llvm::StringRef folder, bool needWeights) {
  Places places = {folder.str(), pathIn(folder, "config.json"), ""};
  for (const char *name : {"model.safetensors", "model.safetensors.index.json"})
    if (places.weights.empty() && fs::exists(pathIn(folder, name))) places.weights = pathIn(folder, name);
  if (!needWeights || !places.weights.empty()) return places;
  for (const char *name : {"pytorch_model.bin", "pytorch_model.bin.index.json"})
    if (fs::exists(pathIn(folder, name))) return refuseFormat(pathIn(folder, "pytorch_model.bin"));
  return importError(folder, "has neither model.safetensors nor model.safetensors.index.json; for made-up weights use "
                             "--weights random:SEED");
}

llvm::Expected<Places> findPlaces(llvm::StringRef model, bool needWeights) {
  fs::file_status status;
  if (std::error_code error = fs::status(model, status)) {
    if (error != std::errc::no_such_file_or_directory) return importError(model, error.message());
    return importError(model, llvm::Twine("no such file or folder (models are not downloaded); ") + kWhatAModelIs);
  }
  if (status.type() == fs::file_type::directory_file) return findInFolder(model, needWeights);

  llvm::StringRef parent = path::parent_path(model);
  std::string folder = parent.empty() ? "." : parent.str();
  if (path::extension(model) == ".safetensors" || isIndex(model))
    return Places{folder, pathIn(folder, "config.json"), model.str()};
  if (path::extension(model) != ".json") return refuseFormat(model);
  if (needWeights)
    return importError(model, "a config alone has no weights; give the model's folder, or --weights random:SEED");
  return Places{folder, model.str(), ""};
}

std::string nameOf(const Places &places) {
  llvm::StringRef config = path::filename(places.config);
  if (config != "config.json") return path::stem(config).str();
  llvm::SmallString<128> real; // so that "." and "model/" have names too
  if (fs::real_path(places.folder, real)) real = places.folder;
  llvm::StringRef name = path::filename(real);
  return name.empty() || name == "/" ? "model" : name.str();
}

} // namespace

llvm::Expected<Checkpoint> openCheckpoint(llvm::StringRef model, bool needWeights) {
  auto places = findPlaces(model, needWeights);
  if (!places) return places.takeError();
  Checkpoint checkpoint;
  checkpoint.folder = places->folder;
  checkpoint.name = nameOf(*places);
  if (llvm::Error error = readModelFiles(places->config, places->folder, checkpoint)) return std::move(error);
  if (!needWeights) return checkpoint;
  auto tensors = isIndex(places->weights) ? openSafetensorsIndex(places->weights) : openSafetensors(places->weights);
  if (!tensors) return tensors.takeError();
  checkpoint.tensors = std::move(*tensors);
  return checkpoint;
}

} // namespace llmc
