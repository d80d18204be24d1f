// Weights that are not in the file: that their description makes exactly the bytes that the table of weights says.
#include "runtime/artifact/verify_internal.h"
#include "runtime/packing/pack_weight.h"

#include <cmath>

namespace llmrt::verify_internal {

namespace {

constexpr uint64_t kMaxRows = uint64_t(1) << 32, kMaxTensorColumns = uint64_t(1) << 32;

bool is_element(std::string_view name) { return name == "f32" || name == "bf16" || name == "f16"; }

// The logical shape as rows of sources.
struct Shape {
  uint64_t rows, columns;
};

Status check_source(const schema::SourceRows &source, const Shape &shape, const std::string &where) {
  if (!std::isfinite(source.scale()) || !std::isfinite(source.add()))
    return corrupt(where, "has a source with a factor that is not finite");
  if (source.row_count() > shape.rows || source.first_row() > kMaxRows)
    return corrupt(where, "has a source with too many rows");
  if (source.zeros())
    return ok_status();
  if (text_of(source.tensor()).empty())
    return corrupt(where, "has a source without a tensor");
  // With both below 2^32 no index overflows.
  if (source.transpose() ? source.tensor_columns() > kMaxTensorColumns ||
                               source.first_row() + source.row_count() > source.tensor_columns()
                         : source.tensor_columns() != shape.columns)
    return corrupt(where, "has a source of another width");
  return ok_status();
}

Status check_sources(const schema::Weight &weight, const Shape &shape, const std::string &where) {
  uint64_t rows = 0;
  for (uint32_t i = 0; i < count_of(weight.sources()); ++i) {
    const schema::SourceRows &source = *weight.sources()->Get(i);
    if (Status status = check_source(source, shape, where); !status.ok())
      return status;
    rows += source.row_count(); // each is at most 2^32, and the metadata has room for fewer than 2^30
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
  if (weight.rows() > kMaxRows || weight.columns() > kMaxRows ||
      (!vector && weight.columns() > uint64_t(packing::kMaxColumns)))
    return corrupt(where, "is too large to be made");
  packing::WeightForm form;
  form.is_vector = vector;
  form.rows = int64_t(vector ? weight.columns() : weight.rows());
  form.columns = vector ? 1 : int64_t(weight.columns());
  form.interleaved = weight.interleave() != 0;
  form.scheme = vector ? nullptr : packing::find_scheme(scheme);
  form.element = text_of(vector ? weight.rounded() : weight.element());
  if ((vector && weight.rows() != 1) || (!form.scheme && (scheme != "none" || !is_element(form.element))))
    return corrupt(where, "has a scheme or an element type that cannot be made");
  if (form.interleaved && (weight.interleave() != uint32_t(packing::kBlockRows) || form.rows % 2 != 0))
    return corrupt(where, "is interleaved in another way than can be made");
  if (weight.bytes() != uint64_t(form.blocks()) * uint64_t(form.block_bytes()))
    return corrupt(where, "has other bytes than its shape");
  Shape shape{uint64_t(form.rows), uint64_t(form.columns)};
  return vector && weight.values() ? check_values(weight, shape, where) : check_sources(weight, shape, where);
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
