// The model's figures, cache groups, arena and buffers.
#include "runtime/artifact/verify_internal.h"

#include <cmath>

namespace llmrt::verify_internal {

namespace {

constexpr uint64_t kMaxCount = uint64_t(1) << 31; // positions, lengths, sequences: all end up in int32

Status check_generation(const schema::Generation &generation, uint32_t vocabulary) {
  auto in = [](float value, float low, float high) { return std::isfinite(value) && value >= low && value <= high; };
  std::string where = "the model's generation defaults";
  if (!in(generation.temperature(), 0, 1e6f))
    return corrupt(where, "temperature is out of range");
  if (!in(generation.top_p(), 0, 1) || !in(generation.min_p(), 0, 1))
    return corrupt(where, "top_p or min_p is not in [0, 1]");
  if (generation.top_k() < -1)
    return corrupt(where, "top_k is out of range");
  if (!in(generation.repetition_penalty(), 1e-6f, 1e6f))
    return corrupt(where, "repetition_penalty is out of range");
  for (uint32_t i = 0; i < count_of(generation.end_ids()); ++i)
    if (int32_t id = generation.end_ids()->Get(i); id < 0 || uint32_t(id) >= vocabulary)
      return corrupt(where, "an end id is not in the vocabulary");
  return ok_status();
}

Status check_cache_group(const schema::CacheGroup &group, const std::string &where) {
  if (uint8_t(group.kind()) > uint8_t(schema::CacheKind::MAX))
    return corrupt(where, "is of an unknown kind");
  if (group.kind() == schema::CacheKind::Window && (group.window() <= 0 || uint64_t(group.window()) >= kMaxCount))
    return corrupt(where, "has a window that is out of range");
  if (group.page_tokens() == 0 || group.page_tokens() > 65536)
    return corrupt(where, "has a page size that is out of range");
  if (group.layers() == 0 || group.layers() > 65536)
    return corrupt(where, "has a number of layers that is out of range");
  if (group.bytes_per_page_layer() == 0 || group.bytes_per_page_layer() > (uint64_t(1) << 40))
    return corrupt(where, "has a page of a size that is out of range");
  return ok_status();
}

Status check_buffers(Context &context) {
  Polynomial arena(context.meta.arena());
  for (uint32_t i = 0; i < count_of(context.meta.buffers()); ++i) {
    const schema::Buffer &buffer = *context.meta.buffers()->Get(i);
    std::string where = named("buffer", i, buffer.name());
    if (Status status = check_size(context, buffer.offset(), where + ": its offset"); !status.ok())
      return status;
    if (Status status = check_size(context, buffer.bytes(), where + ": its size"); !status.ok())
      return status;
    Polynomial offset(buffer.offset()), bytes(buffer.bytes()), end = offset;
    end.add(bytes);
    if (!arena.dominates(end))
      return corrupt(where, "does not lie in the arena");
    context.buffer_offset.push_back(std::move(offset));
    context.buffer_bytes.push_back(std::move(bytes));
  }
  return ok_status();
}

} // namespace

Status check_model(const Context &context) {
  const schema::Model &model = *context.meta.model();
  std::string where = "the model";
  if (model.vocabulary() == 0 || model.vocabulary() > (1u << 24))
    return corrupt(where, "its vocabulary is out of range");
  if (model.max_positions() == 0 || model.max_positions() >= kMaxCount)
    return corrupt(where, "its number of positions is out of range");
  for (int32_t id : {model.begin_id(), model.pad_id()})
    if (id < -1 || (id >= 0 && uint32_t(id) >= model.vocabulary()))
      return corrupt(where, "a special id is not in the vocabulary");
  for (uint64_t value : {model.default_max_model_len(), model.default_max_num_batched_tokens(),
                         model.default_max_num_seqs()})
    if (value >= kMaxCount)
      return corrupt(where, "a default length or count is out of range");
  return model.generation() ? check_generation(*model.generation(), model.vocabulary()) : ok_status();
}

Status check_memory(Context &context) {
  const auto *groups = context.meta.cache_groups();
  if (count_of(groups) > uint32_t(kMaxArtifactCacheGroups))
    return corrupt("there are more than 8 cache groups");
  context.groups = count_of(groups);
  for (uint32_t i = 0; i < context.groups; ++i) {
    const schema::CacheGroup &group = *groups->Get(i);
    if (Status status = check_cache_group(group, named("cache group", i, group.name())); !status.ok())
      return status;
    // At most 2^16 x 2^40: no overflow.
    Polynomial pool;
    pool.add(int64_t(group.layers()) * int64_t(group.bytes_per_page_layer()),
             Monomial(schema::Symbol(uint32_t(schema::Symbol::Pages0) + i)));
    context.pool_bytes.push_back(std::move(pool));
    if (context.page_tokens == 0 || group.page_tokens() < context.page_tokens)
      context.page_tokens = group.page_tokens();
  }
  if (Status status = check_size(context, context.meta.arena(), "the arena's size"); !status.ok())
    return status;
  return check_buffers(context);
}

} // namespace llmrt::verify_internal
