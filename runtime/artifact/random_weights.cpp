#include "runtime/artifact/random_weights.h"

#include "runtime/artifact/verify.h"

namespace llmrt {

packing::WeightForm weight_form(const schema::Weight &weight) {
  packing::WeightForm form;
  form.is_vector = text_of(weight.layout()) == "vector";
  form.rows = int64_t(form.is_vector ? weight.columns() : weight.rows());
  form.columns = form.is_vector ? 1 : int64_t(weight.columns());
  form.interleaved = weight.interleave() != 0;
  form.scheme = form.is_vector ? nullptr : packing::find_scheme(text_of(weight.scheme()));
  form.element = text_of(form.is_vector ? weight.rounded() : weight.element());
  return form;
}

uint64_t random_weight_bytes(const schema::Artifact &meta) {
  uint64_t bytes = 0;
  for (uint32_t i = 0; i < count_of(meta.segments()); ++i)
    if (meta.segments()->Get(i)->kind() == schema::SegmentKind::RandomWeights)
      bytes += meta.segments()->Get(i)->bytes();
  return bytes;
}

} // namespace llmrt
