// Compiled pipelines on disk, a file for each device and driver: $XDG_CACHE_HOME/llmrt or ~/.cache/llmrt. Without
// either, or where the folder cannot be written, there is no cache and nothing is said: it saves time and nothing else.
#pragma once

#include "runtime/base/sha256.h"
#include "runtime/device/vulkan/vulkan_context.h"

#include <string>

namespace llmrt::vk {

class PipelineCache {
public:
  // Starts with what is on disk for this device; with nothing if that is damaged or of another. The context must
  // outlive it.
  explicit PipelineCache(Context &context);
  ~PipelineCache();
  PipelineCache(const PipelineCache &) = delete;

  Handle handle() const { return handle_; } // 0: the driver has no room for one
  // Writes what there is now, if it is not what was read.
  void store();

private:
  Context &context_;
  Handle handle_ = 0;
  std::string path_;      // empty: there is no folder for it
  Sha256Digest stored_{}; // of the data on disk
};

} // namespace llmrt::vk
