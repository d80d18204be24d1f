#include "runtime/server/model_folder.h"

#include "runtime/base/os.h"
#include "runtime/session/model.h"

#include <algorithm>

namespace llmrt::server {

static constexpr std::string_view kExtension = ".fbs";

static FolderModel model_of(const std::string &folder, const std::string &file) {
  FolderModel out;
  out.name = model_id_of_path(file);
  Result<std::string> path = os::real_path(folder + "/" + file);
  const std::string inside = folder == "/" ? folder : folder + "/";
  if (!path.ok())
    out.problem = path.status().message();
  else if (path->compare(0, inside.size(), inside) != 0)
    out.problem = folder + "/" + file + " is a link out of the folder";
  else if (!os::is_regular_file(*path)) // opening a pipe would wait for who writes into it
    out.problem = folder + "/" + file + " is not a regular file";
  else
    out.path = std::move(*path);
  return out;
}

Result<std::vector<FolderModel>> list_models(const std::string &folder) {
  Result<std::string> root = os::real_path(folder);
  if (!root.ok())
    return root.status();
  Result<std::vector<std::string>> files = os::list_folder(*root);
  if (!files.ok())
    return files.status();
  std::vector<FolderModel> out;
  for (const std::string &file : *files) {
    bool named = file.size() > kExtension.size() && std::string_view(file).substr(file.size() - 4) == kExtension;
    // A name with control characters could not be shown on a line.
    if (named && std::none_of(file.begin(), file.end(), [](char c) { return static_cast<unsigned char>(c) < 32; }))
      out.push_back(model_of(*root, file));
  }
  return out;
}

} // namespace llmrt::server
