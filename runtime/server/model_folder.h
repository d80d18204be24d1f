// The folder of --models-dir: which names in it are models that clients may ask for.
#pragma once

#include "runtime/base/status.h"

#include <string>
#include <vector>

namespace llmrt::server {

struct FolderModel {
  std::string name;    // the file's, without .fbs
  std::string path;    // without links; empty where there is a problem
  std::string problem; // why it cannot be used; empty: nothing
};

// Every *.fbs right in the folder, by name. Only what stands in this list is ever opened, so that a name cannot lead
// elsewhere; a link may stand in it if it ends inside of the folder. kNotFound, kInvalidArgument: the folder cannot be
// read.
Result<std::vector<FolderModel>> list_models(const std::string &folder);

} // namespace llmrt::server
