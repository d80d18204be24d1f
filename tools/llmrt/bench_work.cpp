#include "tools/llmrt/bench_work.h"

#include "runtime/artifact/verify.h"
#include "runtime/schema/artifact_generated.h"

#include <algorithm>
#include <set>
#include <string_view>

namespace llmrt::tool {

namespace {

// "linear_heads_..." is a linear too, with work behind it that is nothing beside the product.
bool has_kind(std::string_view kernel, std::string_view kind) {
  return kernel.substr(0, kind.size()) == kind && (kernel.size() == kind.size() || kernel[kind.size()] == '_');
}

// Benchmarks ask for none.
bool is_of_hidden_states(const schema::KernelDispatch &dispatch) {
  return count_of(dispatch.scalars()) > 0 && dispatch.scalars()->Get(0)->symbol() == schema::Symbol::HiddenRows;
}

// A linear may be one of several that take a run of their weight's outputs each: scalar 2 is how many.
double linear_share(const schema::KernelDispatch &dispatch, std::string_view kernel, const schema::Weight &weight) {
  if (count_of(dispatch.scalars()) < 3 || weight.rows() == 0)
    return 1;
  double outputs = static_cast<double>(dispatch.scalars()->Get(2)->value());
  bool gated = kernel.find("_gated") != kernel.npos;
  return std::min(1.0, outputs * (gated ? 2 : 1) / static_cast<double>(weight.rows()));
}

} // namespace

DispatchWork dispatch_work(const schema::Artifact &meta, const schema::KernelDispatch &dispatch) {
  std::string_view name = text_of(meta.kernels()->Get(dispatch.kernel())->name());
  DispatchWork work;
  work.rows_only = count_of(dispatch.scalars()) > 0 && dispatch.scalars()->Get(0)->symbol() == schema::Symbol::Rows;
  for (uint32_t i = 0; i < count_of(dispatch.operands()); ++i) {
    const schema::Operand *operand = dispatch.operands()->Get(i);
    if (operand->kind() == schema::OperandKind::Cache && has_kind(name, "attention")) {
      const schema::CacheGroup *group = meta.cache_groups()->Get(operand->index());
      work.cache_group = static_cast<int>(operand->index());
      work.cache_bytes =
          static_cast<double>(group->bytes_per_page_layer()) / std::max<uint32_t>(group->page_tokens(), 1);
    }
    // An embedding looks up a row a token: nothing beside the rest.
    if (operand->kind() != schema::OperandKind::Weight || has_kind(name, "embed"))
      continue;
    const schema::Weight *weight = meta.weights()->Get(operand->index());
    bool matrix = has_kind(name, "linear") && text_of(weight->layout()) != "vector";
    double share = matrix ? linear_share(dispatch, name, *weight) : 1;
    work.weights.push_back(operand->index());
    work.weight_bytes += share * static_cast<double>(weight->bytes());
    if (matrix)
      work.ops += share * 2 * static_cast<double>(weight->rows()) * static_cast<double>(weight->columns());
  }
  return work;
}

double StepWork::kv_bytes_at(int64_t position) const {
  double bytes = 0;
  for (const CacheWork &cache : caches) {
    int64_t seen = cache.window > 0 ? std::min(cache.window, position + 1) : position + 1;
    bytes += cache.bytes_per_token * static_cast<double>(seen);
  }
  return bytes;
}

StepWork step_work(const Artifact &artifact, std::string_view target) {
  const schema::Artifact &meta = artifact.meta();
  StepWork work;
  std::set<uint32_t> read;
  const schema::Program *program = find_step(meta, target);
  for (uint32_t i = 0; program && i < count_of(program->dispatches()); ++i)
    if (const schema::KernelDispatch *dispatch = program->dispatches()->Get(i)->op_as_KernelDispatch();
        dispatch && !is_of_hidden_states(*dispatch)) {
      DispatchWork own = dispatch_work(meta, *dispatch);
      for (uint32_t weight : own.weights)
        if (read.insert(weight).second)
          work.weight_bytes += static_cast<double>(meta.weights()->Get(weight)->bytes());
      (own.rows_only ? work.row_ops : work.token_ops) += own.ops;
    }
  for (uint32_t i = 0; i < count_of(meta.cache_groups()); ++i) {
    const schema::CacheGroup *group = meta.cache_groups()->Get(i);
    CacheWork cache;
    cache.window = group->kind() == schema::CacheKind::Window ? group->window() : 0;
    cache.bytes_per_token = static_cast<double>(group->bytes_per_page_layer()) * group->layers() /
                            std::max<uint32_t>(group->page_tokens(), 1);
    work.caches.push_back(cache);
  }
  return work;
}

} // namespace llmrt::tool
