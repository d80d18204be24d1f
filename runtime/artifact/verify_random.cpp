// Weights that are not in the file: that their description makes exactly the bytes that the table of weights says.
#include "runtime/artifact/random_weights.h"
#include "runtime/artifact/verify_internal.h"

#include <cmath>

namespace llmrt::verify_internal {

namespace {

constexpr uint64_t kMaxRows = uint64_t(1) << 32, kMaxTensorColumns = uint64_t(1) << 32;
constexpr uint32_t kMaxSources = 1024;
constexpr uint32_t kMaxTensorName = 4096;

bool is_element(std::string_view name) { return name == "f32" || name == "bf16" || name == "f16"; }

// The logical shape as rows of sources.
struct Shape {
  uint64_t rows, columns;
};

Status check_source(const schema::SourceRows &source, const Shape &shape, const std::string &where) {
  if (!std::isfinite(source.scale()) || !std::isfinite(source.add()))
    return corrupt(where, "has a source with a factor that is not finite");
  if (source.row_count() == 0 || source.row_count() > shape.rows || source.first_row() > kMaxRows)
    return corrupt(where, "has a source with too many rows, or none");
  if (source.zeros())
    return ok_status();
  if (text_of(source.tensor()).empty() || text_of(source.tensor()).size() > kMaxTensorName)
    return corrupt(where, "has a source without a tensor, or a tensor with an endless name");
  // With both below 2^32 no index overflows.
  if (source.transpose() ? source.tensor_columns() > kMaxTensorColumns ||
                               source.first_row() + source.row_count() > source.tensor_columns()
                         : source.tensor_columns() != shape.columns)
    return corrupt(where, "has a source of another width");
  return ok_status();
}

Status check_sources(const schema::Weight &weight, const Shape &shape, const std::string &where) {
  if (count_of(weight.sources()) > kMaxSources)
    return corrupt(where, "has too many sources");
  uint64_t rows = 0;
  for (uint32_t i = 0; i < count_of(weight.sources()); ++i) {
    const schema::SourceRows &source = *weight.sources()->Get(i);
    if (Status status = check_source(source, shape, where); !status.ok())
      return status;
    rows += source.row_count(); // each is at most 2^32
  }
  return rows == shape.rows ? ok_status() : corrupt(where, "has sources with more or fewer rows than it has itself");
}

Status check_values(const schema::Weight &weight, const Shape &shape, const std::string &where) {
  if (count_of(weight.sources()) != 0 || weight.values()->size() != shape.rows || !is_aligned(weight.values()))
    return corrupt(where, "has values of its own and sources, or too few of them");
  for (float value : *weight.values())
    if (!std::isfinite(value))
      return corrupt(where, "has a value that is not finite");
  return ok_status();
}

Status check_random_weight(const schema::Weight &weight, const std::string &where) {
  std::string_view layout = text_of(weight.layout()), scheme = text_of(weight.scheme());
  bool vector = layout == "vector";
  if (!vector && layout != "rows16")
    return corrupt(where, "has a layout that cannot be made");
  if (weight.rows() == 0 || weight.columns() == 0 || weight.rows() > kMaxRows || weight.columns() > kMaxRows ||
      (!vector && weight.columns() > uint64_t(packing::kMaxColumns)))
    return corrupt(where, "is too large to be made, or nothing");
  packing::WeightForm form = weight_form(weight);
  if ((vector && weight.rows() != 1) || (!form.scheme && (scheme != "none" || !is_element(form.element))))
    return corrupt(where, "has a scheme or an element type that cannot be made");
  if (form.interleaved && (weight.interleave() != uint32_t(packing::kBlockRows) || form.rows % 2 != 0))
    return corrupt(where, "is interleaved in another way than can be made");
  if (weight.bytes() != uint64_t(form.blocks()) * uint64_t(form.block_bytes()))
    return corrupt(where, "has other bytes than its shape");
  Shape shape{uint64_t(form.rows), uint64_t(form.columns)};
  if (!weight.values())
    return check_sources(weight, shape, where);
  return vector ? check_values(weight, shape, where) : corrupt(where, "has values of its own and is no vector");
}

} // namespace

Status check_random_weights(const Context &context) {
  if (!has_random_weights(context.meta))
    return ok_status();
  const schema::RandomWeights *random = context.meta.random();
  if (!random || !is_element(text_of(random->element())) || !std::isfinite(random->deviation()))
    return corrupt("the weights are not in the file, and it does not say how they are made");
  uint32_t segments = 0;
  for (uint32_t i = 0; i < count_of(context.meta.segments()); ++i)
    segments += context.meta.segments()->Get(i)->kind() == schema::SegmentKind::RandomWeights;
  if (segments > 1)
    return corrupt("more than one segment holds weights that are not in the file");
  uint64_t end = 0;
  for (uint32_t i = 0; i < count_of(context.meta.weights()); ++i) {
    const schema::Weight &weight = *context.meta.weights()->Get(i);
    if (context.meta.segments()->Get(weight.segment())->kind() != schema::SegmentKind::RandomWeights)
      continue;
    std::string where = named("weight", i, weight.name());
    if (weight.offset() < end) // two threads would write there
      return corrupt(where, "overlaps the one before it");
    end = weight.offset() + weight.bytes();
    if (Status status = check_random_weight(weight, where); !status.ok())
      return status;
  }
  return ok_status();
}

} // namespace llmrt::verify_internal
