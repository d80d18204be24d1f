// attention: one row and one query head a workgroup. The order of additions is fixed: blocks of 16 keys with an online
// softmax, segments of 256 keys at absolute positions, combined first to last. Four blocks are worked on at a time: a thread
// has a key for the scores, and every 64th value column for the sums. With `parts`, in steps of few rows an item is a part
// of the segments of a row and head, whose results attention_combine puts together.
#include "codegen/gpu/kinds/AttentionRecords.h"

namespace llmc::gpu {

using namespace mlir;
using cpu::Expression;
using cpu::KernelInfo;
using cpu::VariantInfo;

namespace {

enum Scalars {
  kRows, kHeads, kKvHeads, kGroup, kKeyDim, kValueDim, kValuePad, kLdQuery, kLdOut, kSequences, kBlocks, kPages,
  kHeadBlocks // with parts
};

constexpr int64_t kThreads = 64;
constexpr int64_t kRoundBlocks = kThreads / kPageTokens;
constexpr int64_t kSegmentRounds = kSegmentKeys / kThreads;

void describe(exec::KernelOp kernel, MatrixUnits, KernelInfo &info) {
  info.items = s(kRows) * s(kHeads);
  info.grain = 1;
  info.require(Expression(kMaxValueDim) - s(kValuePad));
  if (int64_t parts = kernel.getInteger("parts")) {
    int64_t splitRows = kernel.getInteger("split_rows");
    info.variants = {{0, splitRows, 1, Expression(parts) * info.items}, {splitRows + 1, INT64_MAX, 1}};
  }
}

struct Attention {
  GpuBuilder &k;
  exec::KernelOp kernel;
  PagedCache cache;
  llvm::StringRef element;
  int sinks, alibi, out; // operands; -1: none
  int64_t parts;         // of a row and head in this variant; 0: it is whole
  std::optional<SegmentRecords> records; // with parts
  Value scores, weights; // shared: [64] each
  SegmentSums sums;

  // The item at hand
  Value row = {}, head = {}, kvHead = {}, position = {}, firstSeen = {}, sequence = {}, firstBlock = {}, endBlock = {};

  // One score times log2 e: an fma chain over key_dim.
  Value score(Value key) {
    Value keyDim = cache.keyDim, page = cache.page(sequence, k.div(key, kPageTokens));
    Value slot = k.rem(key, kPageTokens);
    Value query = k.add(k.mul(row, k.scalar(kLdQuery)), k.mul(head, keyDim));
    Values sum = k.loop(k.index(0), keyDim, 1, k.zeros(1), [&](Value i, ValueRange carried) {
      Value x = k.loadElement(4, element, cache.key(page, kvHead, slot, i));
      return Values{k.fma(k.loadF32(0, k.add(query, i)), x, carried[0])};
    });
    double scale = cpu::configFloat(kernel, "scale"), cap = cpu::configFloat(kernel, "soft_cap");
    Value scaled = k.mulf(sum[0], k.f32(cap == 0 ? scale * codegen::kLog2E : scale));
    if (cap != 0) scaled = k.mulf(codegen::emitTanh(k, k.divf(scaled, k.f32(cap))), k.f32(cap * codegen::kLog2E));
    if (alibi >= 0) {
      Value distance = arith::SubIOp::create(k.b, k.toI32(key), k.toI32(position));
      Value wide = arith::SIToFPOp::create(k.b, k.f32Type(), distance);
      scaled = k.fma(k.mulf(k.loadF32(alibi, head), wide), k.f32(codegen::kLog2E), scaled);
    }
    return scaled;
  }

  Value largestOf(Value block, Value old) {
    Value first = k.mul(block, kPageTokens), largest = old;
    for (int64_t i = 0; i < kPageTokens; ++i) largest = k.maxf(k.loadShared(scores, k.add(first, i)), largest);
    return largest;
  }

  // Scores of 64 keys from `firstOfRound` on, then their weights 2^(score - m), m the largest score up to their block.
  void weigh(Value firstOfRound, Value m) {
    Value key = k.add(firstOfRound, k.thread());
    Value tooEarly = k.less(key, firstSeen), tooLate = k.less(position, key);
    Value hidden = arith::OrIOp::create(k.b, tooEarly, tooLate);
    Value own = k.ifElse(hidden, [&] { return k.f32(kNoScore); }, [&] { return score(key); });
    k.barrier(); // the round before may still be read
    k.storeShared(scores, own, k.thread());
    k.barrier();
    Value ownBlock = k.div(k.thread(), kPageTokens);
    Values largest = k.loop(k.index(0), k.add(ownBlock, 1), 1, {m}, [&](Value block, ValueRange carried) {
      return Values{largestOf(block, carried[0])};
    });
    Value p = k.select(hidden, k.f32(0), codegen::emitExp2(k, k.subf(own, largest[0])));
    k.storeShared(weights, p, k.thread());
    k.barrier();
  }

  // sums = sums shrink, then one fma chain over the block's keys. A block outside of what is seen changes nothing,
  // and its page table entry is not looked at.
  void addValues(Value block, Value firstWeight, Value shrink) {
    Value seen = k.logicalAnd(k.less(block, endBlock), k.less(firstBlock, k.add(block, 1)));
    k.ifThen(seen, [&] {
      Value page = cache.page(sequence, block);
      sums.ownColumns([&](Value column) {
        Value sum = k.mulf(sums.segment(column), shrink);
        for (int64_t i = 0; i < kPageTokens; ++i) {
          Value x = k.loadElement(4, element, cache.value(page, kvHead, k.index(i), column));
          sum = k.fma(k.loadShared(weights, k.add(firstWeight, i)), x, sum);
        }
        sums.setSegment(sum, column);
      });
    });
  }

  // One round of 64 keys into the segment's m and l.
  Values round(Value index, Value m, Value l) {
    weigh(k.mul(index, kThreads), m);
    return k.loop(k.index(0), k.index(kRoundBlocks), 1, {m, l}, [&](Value block, ValueRange carried) {
      Value now = largestOf(block, carried[0]), first = k.mul(block, kPageTokens);
      Value shrink = codegen::emitExp2(k, k.subf(carried[0], now));
      addValues(k.add(k.mul(index, kRoundBlocks), block), first, shrink);
      return Values{now, k.addf(k.mulf(carried[1], shrink), k.sumOfLanes(weights, first))};
    });
  }

  // The rounds of segment `index` that are before `endRound`.
  Softmax segment(Value index, Value firstRound, Value endRound) {
    sums.ownColumns([&](Value column) { sums.setSegment(k.f32(0), column); });
    Value start = k.mul(index, kSegmentRounds), end = k.min(k.add(start, kSegmentRounds), endRound);
    Values own = k.loop(k.max(start, firstRound), end, 1, {k.f32(kNoScore), k.f32(0)},
                        [&](Value at, ValueRange carried) { return round(at, carried[0], carried[1]); });
    return {own[0], own[1]};
  }

  void wholeRow(Value firstSegment, Value endSegment, Value firstRound, Value endRound) {
    sums.ownColumns([&](Value column) { sums.setTotal(k.f32(0), column); });
    Values whole = k.loop(firstSegment, endSegment, 1, {k.f32(kNoScore), k.f32(0)}, [&](Value index, ValueRange old) {
      Softmax now = sums.combine(segment(index, firstRound, endRound), {old[0], old[1]});
      return Values{now.m, now.l};
    });
    Value valueDim = k.scalar(kValueDim), to = k.add(k.mul(row, k.scalar(kLdOut)), k.mul(head, valueDim));
    sums.store(out, to, valueDim, {whole[0], whole[1]}, sinks >= 0 ? k.loadF32(sinks, head) : Value());
  }

  // Segments [first, end), each into its record.
  void partOfRow(Value first, Value end, Value firstRound, Value endRound) {
    Value lastSegment = k.div(position, kSegmentKeys);
    k.loop(first, end, 1, [&](Value index) {
      Softmax own = segment(index, firstRound, endRound);
      SegmentRecords::Place place = records->place(index, lastSegment, row, head);
      sums.ownColumns([&](Value column) { records->store(place, sums.segment(column), k.add(place.at, column)); });
      k.ifThen(k.equal(k.thread(), k.index(0)), [&] {
        records->store(place, own.m, place.maximum);
        records->store(place, own.l, place.sum);
      });
    });
  }

  void item(Value index) {
    Value rowAndHead = records ? k.div(index, parts) : index;
    row = k.div(rowAndHead, k.scalar(kHeads));
    head = k.rem(rowAndHead, k.scalar(kHeads));
    kvHead = k.div(head, k.scalar(kGroup));
    position = k.loadIndex(1, row);
    sequence = k.loadIndex(2, row);
    firstSeen = firstKey(k, cpu::configInt(kernel, "window"), position);
    firstBlock = k.div(firstSeen, kPageTokens);
    endBlock = k.add(k.div(position, kPageTokens), 1);
    Value firstRound = k.div(firstSeen, kThreads), endRound = k.add(k.div(position, kThreads), 1);
    Value firstSegment = k.div(firstRound, kSegmentRounds);
    Value endSegment = k.div(k.add(endRound, kSegmentRounds - 1), kSegmentRounds);
    if (!records) return wholeRow(firstSegment, endSegment, firstRound, endRound);
    Value part = k.rem(index, parts), count = k.sub(endSegment, firstSegment);
    auto begin = [&](Value of) { return k.add(firstSegment, k.div(k.mul(count, of), parts)); };
    partOfRow(begin(part), begin(k.add(part, 1)), firstRound, endRound);
  }
};

void emit(GpuBuilder &k, exec::KernelOp kernel, const VariantInfo &variant) {
  llvm::StringRef element = cpu::configString(kernel, "element");
  int next = 5;
  int sinks = cpu::configBool(kernel, "sinks") ? next++ : -1, alibi = cpu::configBool(kernel, "alibi") ? next++ : -1;
  int out = next;
  Value valuePad = k.scalar(kValuePad);
  std::optional<SegmentRecords> records;
  if (variant.items)
    records.emplace(
        SegmentRecords{k, out + 1, out + 2, k.scalar(kHeadBlocks), valuePad, kernel.getInteger("split_rows")});
  Attention attention{k,
                      kernel,
                      PagedCache(k, element, 3, k.scalar(kBlocks), k.scalar(kKvHeads), k.scalar(kKeyDim), valuePad),
                      element,
                      sinks,
                      alibi,
                      out,
                      kernel.getInteger("parts"),
                      records,
                      k.shared(kThreads),
                      k.shared(kThreads),
                      {k, SegmentSums::allocate(k), valuePad}};
  k.forGroupItem([&](Value index) { attention.item(index); });
}

} // namespace

const KindEmitter kAttention = {"attention", describe, kThreads, emit};

} // namespace llmc::gpu
