// attention: an item is one row and one key-value head. Rows of one sequence are taken together, with all query heads of
// the key-value head: decode and prompt are the same code, on tiles of another size. With `parts`, in steps of few rows an
// item is a part of a row's segments, whose results attention_combine puts together.
#include "codegen/cpu/kinds/AttentionParts.h"
#include "codegen/cpu/kinds/AttentionSoftmax.h"

namespace llmc::cpu {

using namespace mlir;

namespace {

enum Scalars {
  kRows, kHeads, kKvHeads, kGroup, kKeyDim, kValueDim, kValuePad, kLdQuery, kLdOut, kSequences, kBlocks, kPages,
  kHeadBlocks // with parts
};

// Slots that go through a sequence's segments together, so that a segment comes from memory once and then from L2.
constexpr int64_t kPackSlots = 128;

// Scratch: a segment's scores and factors, then the state of the pack's tiles, then their queries, then their sums.
enum TileState { kMaxima, kSums, kPositions, kSlopes, kBounds, kTileVectors }; // vectors of 64 bytes
enum SegmentState { kSegmentMaxima, kSegmentSums, kOfTotal, kOfSegment, kValueScales,
                    kSegmentVectors = kValueScales + kSegmentBlocks };
constexpr int64_t kVectorBytes = 4 * kLanes;

int64_t tiles(const codegen::CpuTier &tier) { return kPackSlots / AttentionTile::width(tier); }
int64_t stateBytes(const codegen::CpuTier &tier) {
  return AttentionTile::width(tier) * kScoreRowBytes + (kSegmentVectors + tiles(tier) * kTileVectors) * kVectorBytes;
}

KernelInfo describe(exec::KernelOp kernel, const codegen::CpuTier &tier) {
  KernelInfo info;
  int64_t parts = kernel.getInteger("parts"), splitRows = kernel.getInteger("split_rows");
  info.scalarCount = parts ? 13 : 12;
  info.items = s(kRows) * s(kKvHeads);
  info.readsRows(s(kRows), s(kHeads) * s(kKeyDim), s(kLdQuery));
  info.indices(s(kRows), Expression(kPageTokens) * s(kBlocks));
  info.indices(s(kRows), s(kSequences));
  info.indices(s(kSequences) * s(kBlocks), s(kPages));
  info.reads(poolBytes(configString(kernel, "element"), s(kPages), s(kKvHeads), s(kKeyDim), s(kValuePad)), 64);
  if (configBool(kernel, "sinks")) info.reads(Expression(4) * s(kHeads));
  if (configBool(kernel, "alibi")) info.reads(Expression(4) * s(kHeads));
  info.writesRows(s(kRows), s(kHeads) * s(kValueDim), s(kLdOut));
  info.require(s(kValuePad) - s(kValueDim));
  info.require(s(kHeads) - s(kGroup) * s(kKvHeads));
  info.require(s(kGroup) * s(kKvHeads) - s(kHeads));
  info.require(s(kValuePad) - Expression(kLanes));
  info.require(s(kGroup) - Expression(1));
  info.scratch = Expression(stateBytes(tier)) + Expression(4 * kPackSlots) * (s(kKeyDim) + Expression(kLanes)) +
                 Expression(4 * kPackSlots) * s(kValuePad);
  info.variants = {{0, INT64_MAX, 1}};
  if (!parts) return info;
  info.writes(SegmentRecords::segmentsBytes(splitRows, s(kBlocks), s(kHeadBlocks), s(kValuePad)));
  info.writes(SegmentRecords::lastBytes(splitRows, s(kHeadBlocks), s(kValuePad)));
  info.requireCeil(s(kHeads), s(kHeadBlocks), kLanes);
  info.require(s(kGroup) - Expression(kernel.getInteger("group")));
  info.require(Expression(kernel.getInteger("group")) - s(kGroup));
  info.variants = {{0, splitRows, 1, Expression(parts) * info.items}, {splitRows + 1, INT64_MAX, 1}};
  return info;
}

struct Attention {
  KernelBuilder &k;
  const ScoreConfig &config;
  PagedCache cache;
  LineProduct product;
  Value query, positions, sequences, sinks, alibi, out;
  Value rows, group, keyDim, valueDim, valuePad, ldQuery, ldOut;
  int64_t width; // slots of a tile
  Value queries, sums, queryBytes, sumBytes; // of the pack and of a tile in scratch
  std::optional<SegmentRecords> records;     // where a row's segments stay apart
  int64_t knownGroup;                        // `group`, where the kernel is made for it; else 0

  // The run and the pack at hand
  Value kvHead, sequence, firstRow, packFirst, packSlots;
  // Of the part at hand: the row's last segment, and the one behind the part's last.
  Value lastSegment, endOfPart;

  Value segmentState(int64_t which) {
    return k.at(k.scratch(), width * kScoreRowBytes + which * kVectorBytes);
  }
  Value tileState(Value tile, int64_t which) {
    return k.at(segmentState(kSegmentVectors + which), k.mul(tile, kTileVectors * kVectorBytes));
  }
  Value least(Value tile) { return k.load(k.i64Type(), tileState(tile, kBounds), 8); }
  Value greatest(Value tile) { return k.load(k.i64Type(), k.at(tileState(tile, kBounds), 8), 8); }
  Value slotsOf(Value tile) { return k.min(k.sub(packSlots, k.mul(tile, width)), k.i64(width)); }
  Value rowOf(Value slot) { return k.add(firstRow, k.div(slot, group)); }
  Value headOf(Value slot) { return k.add(k.mul(kvHead, group), k.rem(slot, group)); }

  AttentionTile tileAt(Value tile) {
    return {k, cache, product, keyDim, wholeVectors(k, valuePad), k.at(queries, k.mul(tile, queryBytes)), k.scratch(),
            cache.layout.hasScales() ? segmentState(kValueScales) : Value(), segmentState(kOfTotal),
            segmentState(kOfSegment), k.at(sums, k.mul(tile, sumBytes)), sequence, kvHead, {}, {}, {}, {}, records.has_value(), knownGroup};
  }
  TileSoftmax softmaxOf(Value tile, AttentionTile &parts) {
    return {k, config, parts, alibi ? tileState(tile, kSlopes) : Value(), tileState(tile, kMaxima),
            tileState(tile, kSums), segmentState(kSegmentMaxima), segmentState(kSegmentSums),
            tileState(tile, kPositions), least(tile), greatest(tile)};
  }

  // ---- before the segments -----------------------------------------------------------------------------------------
  Value queryPlace(Value tile, Value lane, Value element) {
    Value block = k.mul(k.div(element, kLanes), width);
    return k.at(k.at(queries, k.mul(tile, queryBytes)),
                k.mul(k.add(block, lane), kLanes * product.factorBytes()));
  }

  // The slot's query times the scale, its position and slope; returns the position.
  Value beginSlot(Value tile, Value lane) {
    Value slot = k.add(packFirst, k.add(k.mul(tile, width), lane)), row = rowOf(slot), head = headOf(slot);
    Value from = k.at(query, k.mul(k.add(k.mul(row, ldQuery), k.mul(head, keyDim)), 4));
    k.loop(k.i64(0), keyDim, kLanes, [&](Value i) {
      Value values = k.loadColumns(k.at(from, k.mul(i, 4)), k.sub(keyDim, i));
      product.storeFactors(k.mulf(values, k.splat(config.queryFactor())), queryPlace(tile, lane, i));
    });
    Value position = k.loadIndex(positions, row), place = k.mul(lane, 4);
    k.store(arith::TruncIOp::create(k.b, k.i32Type(), position), k.at(tileState(tile, kPositions), place));
    if (alibi) k.store(k.loadF32(k.at(alibi, k.mul(head, 4))), k.at(tileState(tile, kSlopes), place));
    return position;
  }

  // Slots that a tile lacks multiply zeros.
  void beginTile(Value tile) {
    Value count = slotsOf(tile);
    Values bounds = k.loop(k.i64(0), count, 1, {k.i64(INT64_MAX), k.i64(0)}, [&](Value lane, ValueRange carried) {
      Value position = beginSlot(tile, lane);
      return Values{k.min(carried[0], position), k.max(carried[1], position)};
    });
    k.store(bounds[0], tileState(tile, kBounds), 8);
    k.store(bounds[1], k.at(tileState(tile, kBounds), 8), 8);
    k.loop(count, k.i64(width), 1, [&](Value lane) {
      k.loop(k.i64(0), keyDim, kLanes,
             [&](Value i) { product.storeFactors(k.splat(0), queryPlace(tile, lane, i)); });
    });
    k.store(k.splat(kNoScore), tileState(tile, kMaxima), 64);
    k.store(k.splat(0), tileState(tile, kSums), 64);
    if (records) return;
    Value place = k.at(sums, k.mul(tile, sumBytes));
    k.loop(k.i64(0), k.mul(valuePad, width), kLanes, [&](Value i) { k.store(k.splat(0), k.at(place, k.mul(i, 4))); });
  }

  // ---- the segments ------------------------------------------------------------------------------------------------
  void segment(Value tile, Value index) {
    AttentionTile parts = tileAt(tile);
    TileSoftmax softmax = softmaxOf(tile, parts);
    Value endBlock = k.add(k.div(softmax.greatest, kPageTokens), 1);
    parts.segment = k.mul(index, kSegmentBlocks);
    parts.first = k.max(parts.segment, k.div(softmax.firstKey(softmax.least), kPageTokens));
    parts.end = k.min(k.add(parts.segment, kSegmentBlocks), endBlock);
    Value fetched = records ? k.min(endBlock, k.mul(endOfPart, kSegmentBlocks)) : endBlock;
    parts.last = k.sub(fetched, k.i64(1));
    k.ifThen(k.less(parts.first, parts.end), [&] {
      Value count = slotsOf(tile);
      parts.forSlots(count, [&](int64_t slots) { parts.emitScores(slots); });
      softmax.emit(count);
      parts.forSlots(count, [&](int64_t slots) { parts.emitValues(slots); });
    });
  }

  // ---- after them --------------------------------------------------------------------------------------------------
  void finishSlot(Value index) {
    Value slot = k.add(packFirst, index), tile = k.div(index, width), lane = k.mul(k.rem(index, width), 4);
    Value sum = k.loadF32(k.at(tileState(tile, kSums), lane));
    if (sinks) {
      Value maximum = k.loadF32(k.at(tileState(tile, kMaxima), lane));
      sum = addSink(k, k.loadF32(k.at(sinks, k.mul(headOf(slot), 4))), maximum, sum);
    }
    Value to = k.at(out, k.mul(k.add(k.mul(rowOf(slot), ldOut), k.mul(headOf(slot), valueDim)), 4));
    storeHead(k, k.at(sums, k.mul(k.mul(index, valuePad), 4)), sum, wholeVectors(k, valuePad), valueDim, to);
  }

  // ---- packs and runs ----------------------------------------------------------------------------------------------
  void pack(Value first, Value slots) {
    packFirst = first;
    packSlots = slots;
    Value tileCount = k.div(k.add(slots, width - 1), width);
    Values range = k.loop(k.i64(0), tileCount, 1, {k.i64(INT64_MAX), k.i64(0)}, [&](Value tile, ValueRange carried) {
      beginTile(tile);
      AttentionTile parts = tileAt(tile);
      Value from = k.div(softmaxOf(tile, parts).firstKey(least(tile)), kSegmentKeys);
      return Values{k.min(carried[0], from), k.max(carried[1], k.add(k.div(greatest(tile), kSegmentKeys), 1))};
    });
    k.loop(range[0], range[1], 1, [&](Value index) {
      k.loop(k.i64(0), tileCount, 1, [&](Value tile) { segment(tile, index); });
    });
    k.loop(k.i64(0), slots, 1, [&](Value index) { finishSlot(index); });
  }

  // Rows [first, first + count) of one sequence.
  void run(Value head, Value first, Value count) {
    kvHead = head;
    firstRow = first;
    sequence = k.loadIndex(sequences, first);
    Value slots = k.mul(count, group);
    k.loop(k.i64(0), slots, kPackSlots,
           [&](Value start) { pack(start, k.min(k.sub(slots, start), k.i64(kPackSlots))); });
  }

  // ---- parts -------------------------------------------------------------------------------------------------------
  // What segment `index` came to, from the tile's scratch to the records.
  void keepSegment(Value tile, Value index) {
    k.loop(k.i64(0), slotsOf(tile), 1, [&](Value lane) {
      Value head = headOf(k.add(packFirst, k.add(k.mul(tile, width), lane))), place = k.mul(lane, 4);
      Value record = records->record(index, lastSegment, firstRow, k.div(head, kLanes)), own = k.rem(head, kLanes);
      Value from = k.at(sums, k.add(k.mul(tile, sumBytes), k.mul(k.mul(lane, valuePad), 4)));
      Value to = records->sums(record, own);
      k.loop(k.i64(0), wholeVectors(k, valuePad), kLanes,
             [&](Value i) { k.store(k.loadVec(k.at(from, k.mul(i, 4))), k.at(to, k.mul(i, 4))); });
      k.store(k.loadF32(k.at(segmentState(kSegmentMaxima), place)), k.at(records->maxima(record), k.mul(own, 4)));
      k.store(k.loadF32(k.at(segmentState(kSegmentSums), place)), k.at(records->pSums(record), k.mul(own, 4)));
    });
  }

  void packOfPart(Value first, Value slots, Value begin) {
    packFirst = first;
    packSlots = slots;
    Value tileCount = k.div(k.add(slots, width - 1), width);
    k.loop(k.i64(0), tileCount, 1, [&](Value tile) { beginTile(tile); });
    k.loop(begin, endOfPart, 1, [&](Value index) {
      k.loop(k.i64(0), tileCount, 1, [&](Value tile) {
        segment(tile, index);
        keepSegment(tile, index);
      });
    });
  }

  // An item is a key-value head, a row and one of `parts` runs of its segments, as even as they can be.
  void part(Value item, int64_t parts) {
    Value index = k.rem(item, parts), rest = k.div(item, parts);
    firstRow = k.rem(rest, rows);
    kvHead = k.div(rest, rows);
    sequence = k.loadIndex(sequences, firstRow);
    Value position = k.loadIndex(positions, firstRow);
    lastSegment = k.div(position, kSegmentKeys);
    Value first = k.div(firstKey(k, config.window, position), kSegmentKeys);
    Value count = k.sub(k.add(lastSegment, 1), first);
    Value begin = k.add(first, k.div(k.mul(count, index), parts));
    endOfPart = k.add(first, k.div(k.mul(count, k.add(index, 1)), parts));
    k.ifThen(k.less(begin, endOfPart), [&] {
      k.loop(k.i64(0), group, kPackSlots, [&](Value start) {
        packOfPart(start, k.min(k.sub(group, start), k.i64(kPackSlots)), begin);
      });
    });
  }

  // Items go row by row through one key-value head after the other.
  void items() {
    Value last = k.sub(k.end(), k.i64(1));
    k.loop(k.begin(), k.end(), 1, {k.begin()}, [&](Value item, ValueRange carried) {
      Value start = carried[0], row = k.rem(item, rows);
      // The row after this one, or this one again where there is none in this call.
      Value more = k.less(item, last), next = k.rem(k.min(k.add(item, 1), last), rows);
      Value goesOn = arith::AndIOp::create(k.b, more, k.less(row, next));
      Value same = arith::CmpIOp::create(k.b, arith::CmpIPredicate::eq, k.loadIndex(sequences, row),
                                         k.loadIndex(sequences, next));
      Value ends = arith::XOrIOp::create(k.b, arith::AndIOp::create(k.b, goesOn, same),
                                         arith::ConstantOp::create(k.b, k.b.getBoolAttr(true)));
      k.ifThen(ends, [&] { run(k.div(start, rows), k.rem(start, rows), k.sub(k.add(item, 1), start)); });
      return Values{k.select(ends, k.add(item, 1), start)};
    });
  }
};

void emit(KernelBuilder &k, exec::KernelOp kernel, const VariantInfo &variant) {
  int64_t parts = kernel.getInteger("parts"), splitRows = kernel.getInteger("split_rows");
  bool split = parts && variant.lastRows == splitRows;
  ScoreConfig config{configFloat(kernel, "scale"), configFloat(kernel, "soft_cap"), configInt(kernel, "window"),
                     configBool(kernel, "sinks"), configBool(kernel, "alibi")};
  int next = 5;
  Value query = k.operand(0), positions = k.operand(1), sequences = k.operand(2);
  Value table = k.operand(3), pool = k.operand(4);
  Value sinks = config.sinks ? k.operand(next++) : Value();
  Value alibi = config.alibi ? k.operand(next++) : Value();
  Value out = k.operand(next++);
  Value keyDim = k.scalar(kKeyDim), valuePad = k.scalar(kValuePad);
  PagedCache cache(k, configString(kernel, "element"), table, pool, k.scalar(kBlocks), k.scalar(kKvHeads), keyDim,
                   valuePad);
  LineProduct product(k, cache.layout);
  int64_t width = AttentionTile::width(k.tier);
  Value queryBytes = k.mul(k.div(k.add(keyDim, kLanes - 1), kLanes), width * kLanes * product.factorBytes());
  Value queries = k.at(k.scratch(), stateBytes(k.tier));
  Value sums = k.at(queries, k.mul(queryBytes, tiles(k.tier)));
  std::optional<SegmentRecords> records;
  if (split) {
    Value segments = k.operand(next++), last = k.operand(next++);
    records.emplace(SegmentRecords{k, segments, last, k.scalar(kHeadBlocks), valuePad, splitRows});
  }
  Attention attention{k, config, cache, product, query, positions, sequences, sinks, alibi, out,
                      k.scalar(kRows), k.scalar(kGroup), keyDim, k.scalar(kValueDim), valuePad, k.scalar(kLdQuery),
                      k.scalar(kLdOut), width, queries, sums, queryBytes, k.mul(valuePad, 4 * width), records,
                      kernel.getInteger("group"), {}, {}, {}, {}, {}, {}, {}};
  if (split) k.loop(k.begin(), k.end(), 1, [&](Value item) { attention.part(item, parts); });
  else attention.items();
}

} // namespace

const KindEmitter kAttention = {"attention", describe, emit};

} // namespace llmc::cpu
