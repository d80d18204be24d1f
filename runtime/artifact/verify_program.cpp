// Programs: which targets they are for, what each dispatch names, and where its operands lie.
#include "runtime/artifact/verify_internal.h"

#include <algorithm>

namespace llmrt::verify_internal {

namespace {

using schema::Symbol;

Polynomial product(int64_t coefficient, Symbol a, Symbol b = Symbol::One) {
  Polynomial result;
  Monomial monomial(a);
  if (!monomial.multiply(b))
    result.set_overflow();
  result.add(coefficient, monomial);
  return result;
}

// The arrays of the step block: their sizes, and the bounds that the runtime keeps their values below.
Result<Target> input_target(const Context &context, const schema::Operand &operand, const std::string &where) {
  const schema::Model &model = *context.meta.model();
  Target target;
  // Before the cast: the enum has 8 bits.
  if (operand.index() > uint32_t(schema::Input::MAX))
    return corrupt(where, "names an input that does not exist");
  switch (schema::Input(operand.index())) {
  case schema::Input::TokenIds:
    target.bytes = product(4, Symbol::Tokens);
    target.value_bounds = {Polynomial(model.vocabulary())};
    return target;
  case schema::Input::Positions:
    target.bytes = product(4, Symbol::Tokens);
    if (context.page_tokens > 0)
      target.value_bounds.push_back(product(context.page_tokens, Symbol::MaxBlocks));
    if (model.positions_are_bounded())
      target.value_bounds.push_back(Polynomial(int64_t(model.max_positions())));
    return target;
  case schema::Input::SequenceIndex:
    target.bytes = product(4, Symbol::Tokens);
    target.value_bounds = {product(1, Symbol::Sequences)};
    return target;
  case schema::Input::OutputRows:
    target.bytes = product(4, Symbol::Rows);
    target.value_bounds = {product(1, Symbol::Tokens)};
    return target;
  case schema::Input::HiddenRows:
    target.bytes = product(4, Symbol::HiddenRows);
    target.value_bounds = {product(1, Symbol::Tokens)};
    return target;
  case schema::Input::RopeLength:
    target.bytes = product(4, Symbol::Sequences);
    return target;
  case schema::Input::PageTable:
    if (operand.group() >= context.groups)
      return corrupt(where, "names a cache group that does not exist");
    target.bytes = product(4, Symbol::Sequences, Symbol::MaxBlocks);
    target.value_bounds = {product(1, Symbol(uint32_t(Symbol::Pages0) + operand.group()))};
    return target;
  }
  return corrupt(where, "names an input that does not exist");
}

// The whole of what the operand names, without its own offset.
Result<Target> whole_target(const Context &context, const schema::Operand &operand, const std::string &where) {
  Target target;
  uint32_t index = operand.index();
  switch (operand.kind()) {
  case schema::OperandKind::Buffer:
    if (index >= context.buffer_bytes.size())
      return corrupt(where, "names a buffer that does not exist");
    target.offset = context.buffer_offset[index];
    target.bytes = context.buffer_bytes[index];
    target.writable = true;
    return target;
  case schema::OperandKind::Weight: {
    if (index >= count_of(context.meta.weights()))
      return corrupt(where, "names a weight that does not exist");
    const schema::Weight &weight = *context.meta.weights()->Get(index);
    // Both lie in the file, so they fit; the segment itself is aligned to 64 KB.
    target.offset = Polynomial(int64_t(weight.offset()));
    target.bytes = Polynomial(int64_t(weight.bytes()));
    return target;
  }
  case schema::OperandKind::Input:
    return input_target(context, operand, where);
  case schema::OperandKind::Cache:
    if (index >= context.groups)
      return corrupt(where, "names a cache group that does not exist");
    target.bytes = context.pool_bytes[index];
    target.writable = true;
    return target;
  }
  return corrupt(where, "is of an unknown kind");
}

Status check_copy(const Context &context, const schema::CopyDispatch &copy, const std::string &where) {
  if (!copy.from() || !copy.to())
    return corrupt(where, "lacks an operand");
  if (Status status = check_size(context, copy.bytes(), where + ": its size"); !status.ok())
    return status;
  Result<Target> from = check_operand(context, *copy.from(), where + ": its source");
  if (!from)
    return from.status();
  Result<Target> to = check_operand(context, *copy.to(), where + ": its destination");
  if (!to)
    return to.status();
  if (!to->writable)
    return corrupt(where, "writes what may not be written");
  for (const Target *target : {&*from, &*to}) {
    Polynomial end = target->start;
    end.add(Polynomial(copy.bytes()));
    if (!target->bytes.dominates(end))
      return corrupt(where, "reaches past the end of its source or destination");
  }
  return ok_status();
}

Status check_dispatch(const Context &context, const schema::DispatchEntry &entry, const Tiers &tiers,
                      const std::string &where) {
  switch (entry.op_type()) {
  case schema::Dispatch::KernelDispatch:
    return entry.op() ? check_kernel_dispatch(context, *entry.op_as_KernelDispatch(), tiers, where)
                      : corrupt(where, "is empty");
  case schema::Dispatch::CopyDispatch:
    return entry.op() ? check_copy(context, *entry.op_as_CopyDispatch(), where) : corrupt(where, "is empty");
  case schema::Dispatch::CallDispatch:
  case schema::Dispatch::CollectiveDispatch:
    return Status(StatusCode::kUnsupported, where + ": calls and collectives are not run by this version");
  default:
    return corrupt(where, "is of an unknown kind");
  }
}

// Buffer `index` holds rows of `columns` elements of four bytes.
Status check_output(const Context &context, uint32_t index, int64_t columns, Symbol rows, const std::string &where,
                    std::string_view element = "f32") {
  if (index >= context.buffer_bytes.size())
    return corrupt(where + " are a buffer that does not exist");
  if (text_of(context.meta.buffers()->Get(index)->element()) != element)
    return corrupt(where + " are not " + std::string(element));
  if (!context.buffer_bytes[index].dominates(product(4 * columns, rows)))
    return corrupt(where + " do not have room for a row of " + std::to_string(columns) + " each");
  if (!context.buffer_offset[index].multiple_of(4))
    return corrupt(where + " are not aligned");
  return ok_status();
}

constexpr uint32_t kMaxCandidates = 4096;

Status check_candidates(const Context &context, const schema::Program &program, Tiers tiers,
                        const std::string &where) {
  const schema::Candidates *candidates = program.candidates();
  if (!candidates)
    return ok_status();
  std::erase_if(tiers, [](const Tier *tier) { return tier->target == kCpuTarget; });
  const std::string name = where + ": its candidates";
  // A sampler has room for as many as there are tokens.
  const uint32_t most = std::min<uint32_t>(kMaxCandidates, context.meta.model()->vocabulary());
  if (candidates->count() == 0 || candidates->count() > most)
    return corrupt(name + " are none, or too many of a row");
  if (Status status =
          check_output(context, candidates->buffer(), 2 * int64_t(candidates->count()), Symbol::Rows, name, "i32");
      !status.ok())
    return status;
  for (uint32_t d = 0; d < count_of(candidates->dispatches()); ++d) {
    const schema::KernelDispatch *dispatch = candidates->dispatches()->Get(d)->op_as_KernelDispatch();
    const std::string which = name + ", dispatch " + std::to_string(d);
    if (!dispatch)
      return corrupt(which, "is not of a kernel");
    if (Status status = check_kernel_dispatch(context, *dispatch, tiers, which); !status.ok())
      return status;
  }
  return ok_status();
}

Status check_outputs(const Context &context, const schema::Program &program, const std::string &where) {
  if (Status status = check_output(context, program.logits(), context.meta.model()->vocabulary(), Symbol::Rows,
                                   where + ": its logits");
      !status.ok())
    return status;
  if (program.hidden() == -1)
    return ok_status();
  if (program.hidden() < 0 || program.hidden_width() == 0)
    return corrupt(where, "its hidden states are a buffer that does not exist, or have no columns");
  return check_output(context, uint32_t(program.hidden()), program.hidden_width(), Symbol::HiddenRows,
                      where + ": its hidden states");
}

constexpr uint32_t kMaxTargets = 16;

// Programs of one name are for different targets.
Status check_targets(const Context &context, uint32_t index, const std::string &where) {
  const schema::Program &program = *context.meta.programs()->Get(index);
  if (count_of(program.targets()) > kMaxTargets)
    return corrupt(where, "it has more than 16 targets");
  for (uint32_t p = 0; p < index; ++p) {
    const schema::Program &other = *context.meta.programs()->Get(p);
    if (text_of(other.name()) != text_of(program.name()))
      continue;
    bool apart = count_of(program.targets()) > 0 && count_of(other.targets()) > 0;
    for (uint32_t i = 0; i < count_of(program.targets()); ++i)
      apart &= !is_for(other, text_of(program.targets()->Get(i)));
    if (!apart)
      return corrupt(where, "its name is there twice for a target");
  }
  return ok_status();
}

void add_buffer(const schema::Operand &operand, std::vector<bool> &named) {
  if (operand.kind() == schema::OperandKind::Buffer)
    named[operand.index()] = true;
}

void add_buffers(const flatbuffers::Vector<flatbuffers::Offset<schema::DispatchEntry>> *dispatches,
                 std::vector<bool> &named) {
  for (uint32_t d = 0; d < count_of(dispatches); ++d) {
    if (const schema::KernelDispatch *kernel = dispatches->Get(d)->op_as_KernelDispatch())
      for (uint32_t i = 0; i < count_of(kernel->operands()); ++i)
        add_buffer(*kernel->operands()->Get(i), named);
    if (const schema::CopyDispatch *copy = dispatches->Get(d)->op_as_CopyDispatch()) {
      add_buffer(*copy->from(), named);
      add_buffer(*copy->to(), named);
    }
  }
}

// What the program names lies in the arena that it runs in; that of the artifact has room for every buffer. Of a program
// whose dispatches and outputs have been checked.
Status check_arena(const Context &context, const schema::Program &program, const std::string &where) {
  if (!program.arena())
    return ok_status();
  if (Status status = check_size(context, program.arena(), where + ": its arena's size"); !status.ok())
    return status;
  std::vector<bool> named(context.buffer_bytes.size());
  named[program.logits()] = true;
  if (program.hidden() >= 0)
    named[uint32_t(program.hidden())] = true;
  add_buffers(program.dispatches(), named);
  if (program.candidates()) {
    named[program.candidates()->buffer()] = true;
    add_buffers(program.candidates()->dispatches(), named);
  }
  const Polynomial arena(program.arena());
  for (uint32_t i = 0; i < named.size(); ++i) {
    Polynomial end = context.buffer_offset[i];
    end.add(context.buffer_bytes[i]);
    if (named[i] && !arena.dominates(end))
      return corrupt(where, "a buffer that it names does not lie in its arena");
  }
  return ok_status();
}

Status check_program(const Context &context, uint32_t index) {
  const schema::Program &program = *context.meta.programs()->Get(index);
  const std::string where = named("program", index, program.name());
  if (Status status = check_targets(context, index, where); !status.ok())
    return status;
  Tiers tiers;
  for (const Tier &tier : context.tiers)
    if (is_for(program, tier.target))
      tiers.push_back(&tier);
  if (Status status = check_outputs(context, program, where); !status.ok())
    return status;
  if (Status status = check_candidates(context, program, tiers, where); !status.ok())
    return status;
  for (uint32_t d = 0; d < count_of(program.dispatches()); ++d)
    if (Status status = check_dispatch(context, *program.dispatches()->Get(d), tiers,
                                       where + ", dispatch " + std::to_string(d));
        !status.ok())
      return status;
  return check_arena(context, program, where);
}

// Every target that has code has a step.
Status check_steps(const Context &context) {
  bool any = false;
  for (uint32_t p = 0; p < count_of(context.meta.programs()); ++p)
    any |= text_of(context.meta.programs()->Get(p)->name()) == "step";
  if (!any)
    return corrupt("there is no program named \"step\"");
  for (const Tier &tier : context.tiers)
    if (!find_step(context.meta, tier.target))
      return corrupt("there is no program named \"step\" for " + std::string(tier.target));
  return ok_status();
}

} // namespace

Result<Target> check_operand(const Context &context, const schema::Operand &operand, const std::string &where) {
  if (Status status = check_size(context, operand.offset(), where + ": its offset"); !status.ok())
    return status;
  Result<Target> target = whole_target(context, operand, where);
  if (!target)
    return target;
  target->start = Polynomial(operand.offset());
  target->offset.add(target->start);
  return target;
}

Status check_programs(const Context &context) {
  for (uint32_t i = 0; i < count_of(context.meta.kernels()); ++i) {
    const schema::Kernel &kernel = *context.meta.kernels()->Get(i);
    if (kernel.id()->size() != 16)
      return corrupt(named("kernel", i, kernel.name()), "its id does not have 16 bytes");
  }
  if (count_of(context.meta.programs()) > 64)
    return corrupt("there are more than 64 programs");
  for (uint32_t p = 0; p < count_of(context.meta.programs()); ++p)
    if (Status status = check_program(context, p); !status.ok())
      return status;
  return check_steps(context);
}

} // namespace llmrt::verify_internal
