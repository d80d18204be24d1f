#include "codegen/gpu/kinds/Kinds.h"

#include "runtime/packing/affine_search.h"

namespace llmc::gpu {

using namespace mlir;

// ---- packed matrices -------------------------------------------------------------------------------------------------

Value blockWords(GpuBuilder &k, const Scheme *scheme, llvm::StringRef element, Value chunks) {
  return k.mul(chunks, scheme ? scheme->chunk_bytes() / 4 : elementBytes(element) * kLanes / 4);
}

// What affine_search.h says of the lower half of `bits`.
static GroupScale decodeAffine(GpuBuilder &k, Value bits) {
  auto &b = k.b;
  Value low = arith::AddIOp::create(b, arith::AndIOp::create(b, bits, k.i32(0x3ff)), k.i32((127 - 20) << 5));
  Value scale = arith::BitcastOp::create(b, k.f32Type(), arith::ShLIOp::create(b, low, k.i32(18)));
  Value high = arith::AndIOp::create(b, arith::ShRUIOp::create(b, bits, k.i32(10)), k.i32(63));
  Value steps = arith::SIToFPOp::create(b, k.f32Type(), arith::SubIOp::create(b, high, k.i32(packing::kNoOffset)));
  return {scale, k.mulf(steps, k.f32(packing::kOffsetStep))};
}

GroupScale decodeScale(GpuBuilder &k, const Scheme &scheme, Value bits) {
  return scheme.affine ? decodeAffine(k, bits) : GroupScale{k.bitsToF32("f16", bits), {}};
}

GroupScale loadScale(GpuBuilder &k, int operand, const Scheme &scheme, Value chunk, Value within, Value lane) {
  Value word = k.add(k.add(chunk, k.mul(k.div(within, scheme.group), kLanes / 2)), k.div(lane, 2));
  Value shift = k.toI32(k.mul(k.rem(lane, 2), 16));
  return decodeScale(k, scheme, arith::ShRUIOp::create(k.b, k.loadWord(operand, word), shift));
}

Value dequantize(GpuBuilder &k, const Scheme &scheme, Value word, Value shift, const GroupScale &scale) {
  Value u = arith::AndIOp::create(k.b, arith::ShRUIOp::create(k.b, word, shift), k.i32(scheme.bits == 4 ? 15 : 255));
  Value w = arith::SIToFPOp::create(k.b, k.f32Type(), arith::SubIOp::create(k.b, u, k.i32(scheme.zero)));
  if (scale.offset) w = k.addf(w, scale.offset);
  return k.mulf(w, scale.scale);
}

Value loadMatrix(GpuBuilder &k, int operand, const Scheme *scheme, llvm::StringRef element, Value block, Value lane,
                 Value column) {
  if (!scheme) {
    Value start = k.mul(block, 4 / elementBytes(element)); // in elements
    return k.loadElement(operand, element, k.add(start, k.add(k.mul(column, kLanes), lane)));
  }
  int64_t perChunk = scheme->columns_per_chunk(), perLine = scheme->bits == 4 ? 8 : 4;
  Value chunk = k.add(block, k.mul(k.div(column, perChunk), scheme->chunk_bytes() / 4));
  Value within = k.rem(column, perChunk);
  GroupScale scale = loadScale(k, operand, *scheme, chunk, within, lane);
  Value line = k.add(k.add(chunk, 16), k.mul(k.div(within, perLine), 16));
  Value word = k.loadWord(operand, k.add(line, lane));
  // Byte column mod 4 of the word; of 4-bit weights the upper nibble for columns 4..7 of a line.
  Value shift = k.mul(k.rem(within, 4), 8);
  if (scheme->bits == 4) shift = k.add(shift, k.mul(k.rem(k.div(within, 4), 2), 4));
  return dequantize(k, *scheme, word, k.toI32(shift), scale);
}

// ---- pages -----------------------------------------------------------------------------------------------------------

PagedCache::PagedCache(GpuBuilder &k, llvm::StringRef element, int table, Value blocks, Value heads, Value keyDim,
                       Value valuePad)
    : k(k), table(table), blocks(blocks), keyDim(keyDim), valuePad(valuePad), pairs(element == "bf16") {
  headElements = k.mul(k.add(keyDim, valuePad), kPageTokens);
  pageElements = k.mul(heads, headElements);
}

Value PagedCache::page(Value sequence, Value block) {
  return k.mul(k.loadIndex(table, k.add(k.mul(sequence, blocks), block)), pageElements);
}

Value PagedCache::place(Value start, Value row, Value columns, Value column) {
  if (!pairs) return k.add(start, k.add(k.mul(row, columns), column));
  Value line = k.mul(k.add(k.mul(k.div(row, 2), columns), column), 2);
  return k.add(start, k.add(line, k.rem(row, 2)));
}

Value PagedCache::key(Value page, Value head, Value slot, Value i) {
  return place(k.add(page, k.mul(head, headElements)), i, k.index(kPageTokens), slot);
}

Value PagedCache::value(Value page, Value head, Value slot, Value i) {
  Value start = k.add(k.add(page, k.mul(head, headElements)), k.mul(keyDim, kPageTokens));
  return place(start, slot, valuePad, i);
}

// ---- the table of kinds ----------------------------------------------------------------------------------------------

static const KindEmitter *findKind(llvm::StringRef kind) {
  static const KindEmitter *const kinds[] = {&kEmbed,      &kNorm,      &kLinear,           &kRopeTable, &kRope,
                                             &kCacheWrite, &kAttention, &kAttentionCombine, &kMap,
                                             &kTopK};
  for (const KindEmitter *emitter : kinds)
    if (kind == emitter->kind) return emitter;
  return nullptr;
}

std::string refusal(exec::KernelOp kernel) {
  llvm::StringRef kind = kernel.getKind();
  if (!findKind(kind)) return ("kernels of kind '" + kind + "'").str();
  if ((kind == "attention" || kind == "cache_write") && cpu::configString(kernel, "element") == "int8")
    return "int8 keys and values; compile with --kv-cache-dtype f16";
  if (kind == "rope_table" && cpu::configString(kernel, "scaling") == "dynamic") return "rope scaling 'dynamic'";
  return "";
}

// Operands are those of the CPU's tier whose bf16 rows have two bytes an element.
cpu::KernelInfo describe(exec::KernelOp kernel, MatrixUnits matrixUnits) {
  const KindEmitter *kind = findKind(kernel.getKind());
  const codegen::CpuTier &tier = *codegen::findCpuTier("x86-64-v4-vnni-bf16");
  cpu::KernelInfo info = cpu::findKind(kernel.getKind())->describe(kernel, tier);
  info.scratch = cpu::Expression(kind->threads); // runtime/abi/kernel.h
  info.variants = {{0, INT64_MAX, 1}};
  kind->describe(kernel, matrixUnits, info);
  return info;
}

mlir::gpu::GPUModuleOp emitKernel(ModuleOp module, exec::KernelOp kernel, const cpu::KernelInfo &info, size_t variant,
                                  llvm::StringRef symbol, uint64_t features, MatrixUnits matrixUnits) {
  const KindEmitter *kind = findKind(kernel.getKind());
  OpBuilder b(module.getContext());
  b.setInsertionPointToEnd(module.getBody());
  auto holder = mlir::gpu::GPUModuleOp::create(b, module.getLoc(), ("m_" + symbol).str());
  GpuBuilder builder(holder, symbol, int(info.operands.size()), info.scalarCount, kind->threads, features,
                     matrixUnits);
  kind->emit(builder, kernel, info.variants[variant]);
  builder.finish();
  return holder;
}

} // namespace llmc::gpu
