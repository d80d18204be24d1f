// top_k: the best of a run of columns, one run of a row a workgroup. Values are looked at as keys of 32 bits that ascend
// as the sampler's order goes; a radix selection over 4 bits of them at a time finds the key of the last that is kept
// (Alabi et al., "Fast k-selection algorithms for graphics processing units", JEA 2012), of equal keys those with the
// lowest places are taken, and each of what is kept counts how many go before it. Nothing depends on the order in which
// threads run.
#include "codegen/gpu/kinds/Kinds.h"

namespace llmc::gpu {

using namespace mlir;
using cpu::KernelInfo;
using cpu::VariantInfo;

namespace {

enum Scalars { kRows, kColumns, kRuns, kLd };

constexpr int64_t kThreads = 128, kColumnsOfRun = exec::kTopKColumns;
constexpr int64_t kAtOnce = 4; // loads of a thread that are on their way together
constexpr int64_t kDigitBits = 4, kBuckets = int64_t(1) << kDigitBits, kDigits = 32 / kDigitBits;
constexpr int32_t kNone = -1;            // the id of what is no logit, and its key: all others are less
constexpr int32_t kNaNs = 0x7f800000;    // what is above, without its sign, is not a number
constexpr int32_t kMinusInfinity = int32_t(0xff800000);

static_assert(kColumnsOfRun % (kThreads * kAtOnce) == 0 && exec::kTopKMost <= kThreads);

void describe(exec::KernelOp, MatrixUnits, KernelInfo &info) { info.grain = 1; }

// The key of the last that is kept, and how many of those with just this key are.
struct Limit {
  Value key, ties;
};

struct TopK {
  GpuBuilder &k;
  int64_t count;
  bool pairs;                                 // the input is what another level left
  Value keys, buckets, counts, best, places;  // words of the workgroup: [2048], [16], [128], [count] each
  // The item at hand: the element it begins at and that element's column, how many it has, and of how many places there
  // are keys: as many for each thread, so that all go through their loops as often, and more than are kept.
  Value start = {}, column = {}, own = {}, filled = {};

  Value bitsOf(Value x, Value y) { return arith::AndIOp::create(k.b, x, y); }
  Value either(Value x, Value y) { return arith::OrIOp::create(k.b, x, y); }
  Value shiftedRight(Value x, Value by) { return arith::ShRUIOp::create(k.b, x, by); }
  Value shiftedLeft(Value x, Value by) { return arith::ShLIOp::create(k.b, x, by); }
  Value one(Value condition, int32_t yes) { return k.select(condition, k.i32(yes), k.i32(0)); }
  Value at(Value element) { return pairs ? k.mul(element, 2) : element; } // its word

  // Ascending as the logit descends, as descending_key() of the sampler is: -0 is +0. What is not a number comes first, so
  // that it is seen.
  Value keyOf(Value bits) {
    Value positive = arith::XOrIOp::create(k.b, either(bits, k.i32(INT32_MIN)), k.i32(-1));
    Value key = k.select(k.less(k.i32(INT32_MIN), bits), bits, positive); // negative, and not -0
    return k.select(k.less(k.i32(kNaNs), bitsOf(bits, k.i32(INT32_MAX))), k.i32(0), key);
  }

  // The element's key, of a place that there is.
  Value keyAt(Value place) {
    Value word = at(k.add(start, place)), key = keyOf(k.loadWord(0, word));
    if (!pairs) return key;
    return k.select(k.equal(k.loadWord(0, k.add(word, 1)), k.i32(kNone)), k.i32(kNone), key);
  }
  Value within(Value place) { return k.min(place, k.sub(own, k.index(1))); }

  void loadKeys() {
    k.loop(k.thread(), filled, kThreads * kAtOnce, [&](Value first) {
      Values loaded;
      for (int64_t i = 0; i < kAtOnce; ++i) {
        Value place = k.add(first, i * kThreads);
        loaded.push_back(k.select(k.less(place, own), keyAt(within(place)), k.i32(kNone)));
      }
      for (int64_t i = 0; i < kAtOnce; ++i) k.storeSharedWord(keys, loaded[size_t(i)], k.add(first, i * kThreads));
    });
  }

  // How many keys of those that begin like `key` have each next digit.
  void countDigits(Value key, Value mask, Value shift) {
    k.ifThen(k.less(k.thread(), k.index(kBuckets)), [&] { k.storeSharedWord(buckets, k.i32(0), k.thread()); });
    k.barrier();
    k.loop(k.thread(), filled, kThreads, [&](Value place) {
      Value whole = k.loadSharedWord(keys, place);
      k.ifThen(k.equal(bitsOf(whole, mask), key), [&] {
        Value digit = bitsOf(shiftedRight(whole, shift), k.i32(kBuckets - 1));
        k.addShared(buckets, k.i32(1), k.toIndex(digit));
      });
    });
    k.barrier();
  }

  Limit findLimit() {
    Values found = k.loop(k.index(0), k.index(kDigits), 1, {k.i32(0), k.i32(0), k.i32(int32_t(count))},
                          [&](Value digit, ValueRange carried) {
      Value key = carried[0], mask = carried[1];
      Value shift = k.toI32(k.sub(k.index(32 - kDigitBits), k.mul(digit, kDigitBits)));
      countDigits(key, mask, shift);
      // Past the buckets that are kept whole.
      Values passed = k.loop(k.index(0), k.index(kBuckets), 1, {k.i32(0), carried[2]},
                             [&](Value bucket, ValueRange state) {
        Value size = k.loadSharedWord(buckets, bucket);
        Value whole = k.logicalAnd(k.equal(state[0], k.toI32(bucket)), k.less(size, state[1]));
        return Values{k.add(state[0], one(whole, 1)), k.sub(state[1], k.select(whole, size, k.i32(0)))};
      });
      k.barrier(); // before they are counted anew
      return Values{either(key, shiftedLeft(passed[0], shift)), either(mask, shiftedLeft(k.i32(kBuckets - 1), shift)),
                    passed[1]};
    });
    return {found[0], found[2]};
  }

  // What a key counts for: one that is before the limit, in the lower half of a word; one that is the limit, in the upper.
  Value weight(Value key, const Limit &limit) {
    return k.select(k.less(key, limit.key), k.i32(1), one(k.equal(key, limit.key), 1 << 16));
  }

  // Those that are kept, in the order of their places. Each thread has a run of places, and counts those before it.
  void collect(const Limit &limit) {
    Value length = k.div(filled, kThreads), first = k.mul(k.thread(), length), end = k.add(first, length);
    Values sum = k.loop(first, end, 1, {k.i32(0)}, [&](Value place, ValueRange carried) {
      return Values{k.add(carried[0], weight(k.loadSharedWord(keys, place), limit))};
    });
    k.storeSharedWord(counts, sum[0], k.thread());
    k.barrier();
    Values before = k.loop(k.index(0), k.index(kThreads), 1, {k.i32(0)}, [&](Value other, ValueRange carried) {
      Value theirs = k.loadSharedWord(counts, other);
      return Values{k.add(carried[0], k.select(k.less(other, k.thread()), theirs, k.i32(0)))};
    });
    k.loop(first, end, 1, before, [&](Value place, ValueRange carried) {
      Value key = k.loadSharedWord(keys, place);
      Value better = bitsOf(carried[0], k.i32(0xffff)), ties = shiftedRight(carried[0], k.i32(16));
      Value isTie = k.logicalAnd(k.equal(key, limit.key), k.less(ties, limit.ties));
      k.ifThen(either(k.less(key, limit.key), isTie), [&] {
        Value slot = k.toIndex(k.add(better, k.min(ties, limit.ties)));
        k.storeSharedWord(best, key, slot);
        k.storeSharedWord(places, k.toI32(place), slot);
      });
      return Values{k.add(carried[0], weight(key, limit))};
    });
    k.barrier();
  }

  // A key goes before those that are larger, and those that are equal and have a later place.
  Value rankOf(Value slot) {
    Value key = k.loadSharedWord(best, slot);
    Values rank = k.loop(k.index(0), k.index(count), 1, {k.i32(0)}, [&](Value other, ValueRange carried) {
      Value theirs = k.loadSharedWord(best, other);
      Value tie = k.logicalAnd(k.equal(theirs, key), k.less(other, slot));
      return Values{k.add(carried[0], one(either(k.less(theirs, key), tie), 1))};
    });
    return k.toIndex(rank[0]);
  }

  void store(Value item) {
    Value slot = k.thread();
    k.ifThen(k.less(slot, k.index(count)), [&] {
      Value place = k.toIndex(k.loadSharedWord(places, slot)), there = within(place), isThere = k.less(place, own);
      Value word = at(k.add(start, there));
      Value id = pairs ? k.loadWord(0, k.add(word, 1)) : k.toI32(k.add(column, there));
      Value to = k.mul(k.add(k.mul(item, count), rankOf(slot)), 2);
      k.storeWord(1, k.select(isThere, k.loadWord(0, word), k.i32(kMinusInfinity)), to);
      k.storeWord(1, k.select(isThere, id, k.i32(kNone)), k.add(to, 1));
    });
  }

  void item(Value index) {
    Value runs = k.scalar(kRuns), columns = k.scalar(kColumns);
    column = k.mul(k.rem(index, runs), kColumnsOfRun);
    start = k.add(k.mul(k.div(index, runs), k.scalar(kLd)), column);
    own = k.min(k.sub(columns, column), k.index(kColumnsOfRun));
    constexpr int64_t kStep = kThreads * kAtOnce;
    filled = k.mul(k.div(k.add(own, kStep - 1), kStep), kStep);
    loadKeys();
    collect(findLimit());
    store(index);
  }
};

void emit(GpuBuilder &k, exec::KernelOp kernel, const VariantInfo &) {
  int64_t count = cpu::configInt(kernel, "count");
  TopK top{k,
           count,
           cpu::configBool(kernel, "pairs"),
           k.sharedWords(kColumnsOfRun),
           k.sharedWords(kBuckets),
           k.sharedWords(kThreads),
           k.sharedWords(count),
           k.sharedWords(count)};
  k.forGroupItem([&](Value index) { top.item(index); });
}

} // namespace

const KindEmitter kTopK = {"top_k", describe, kThreads, emit};

} // namespace llmc::gpu
