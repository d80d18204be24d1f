// The kernels' machine code was made from the functions below by
//   clang -O1 -fno-vectorize -fno-slp-vectorize -fno-unroll-loops -ffreestanding -fno-builtin -mno-red-zone -c
// for each architecture, and copied here as hexadecimal digits.
#include "runtime/artifact/testing/fake_model.h"

#include "runtime/schema/artifact_generated.h"

#include <cstring>
#include <string_view>

namespace llmrt::testing {

namespace {

extern "C" {
static void store(const llmrt_dispatch *d) {
  auto *ids = static_cast<const int32_t *>(d->operands[0]), *positions = static_cast<const int32_t *>(d->operands[1]);
  auto *sequence = static_cast<const int32_t *>(d->operands[2]), *table = static_cast<const int32_t *>(d->operands[3]);
  auto *pool = static_cast<int32_t *>(d->operands[4]);
  int64_t blocks = d->scalars[2];
  for (int64_t i = d->begin; i < d->end; ++i) {
    int64_t p = positions[i];
    int64_t page = table[sequence[i] * blocks + (p >> 4)];
    pool[page * 16 + (p & 15)] = ids[i];
  }
}

static void score(const llmrt_dispatch *d) {
  auto *rows = static_cast<const int32_t *>(d->operands[0]), *positions = static_cast<const int32_t *>(d->operands[1]);
  auto *sequence = static_cast<const int32_t *>(d->operands[2]), *table = static_cast<const int32_t *>(d->operands[3]);
  auto *pool = static_cast<const int32_t *>(d->operands[4]);
  auto *bias = static_cast<const float *>(d->operands[5]);
  auto *out = static_cast<float *>(d->operands[6]);
  int64_t vocabulary = d->scalars[1], blocks = d->scalars[3];
  for (int64_t i = d->begin; i < d->end; ++i) {
    int64_t t = rows[i], last = positions[t], sum = 0;
    const int32_t *pages = table + sequence[t] * blocks;
    for (int64_t p = 0; p <= last; ++p)
      sum += pool[int64_t(pages[p >> 4]) * 16 + (p & 15)];
    for (int64_t j = 0; j < vocabulary; ++j)
      out[i * vocabulary + j] = float((sum + 7 * j) % vocabulary) + bias[j];
  }
}
}

constexpr std::string_view kStoreX86 =
    "488b4710488b4f184839c87d5c554156534c8b0f4c8b5708498b11498b7108498b79104d8b41184d8b49204d8b5210904c631c86"
    "48631c87490fafda4d89de49c1fe04498d1c984a631cb38b2c824183e30f48c1e3064c01cb42892c9b48ffc04839c175cb5b415e"
    "5dc3";
constexpr std::string_view kScoreX86 =
    "488b77104c8b47184c39c60f8d1b010000554157415641554154534883ec10488b07488b4f08488b384c8b4808488b5010488954"
    "2408488b501848891424488b58204c8b7028488b40304c8b79084c8b61184889f1490fafcf4c8d2c88eb189048ffc64a8d04bd00"
    "0000004901c54c39c60f84a700000048630cb7496304894885c0785c488b54240848630c8a490fafcc488b1424488d148a48ffc0"
    "4531d231c96666666666662e0f1f8400000000004c89d548c1ed0448632caa4589d34183e30f48c1e5064801dd4e635c9d004c01"
    "d949ffc24c39d075d74d85ff7f0deb8031c94d85ff0f8e75ffffff31ed0f1f004889c8489949f7ff0f57c0f3480f2ac2f3410f58"
    "04aef3410f1144ad0048ffc54883c1074939ef75d7e942ffffff4883c4105b415c415d415e415f5dc3";
constexpr std::string_view kStoreArm =
    "092041a9080109ebcd0200540a2c40a92ff57ed34c3940a96b0940f94d2541a94a1140f98c010f8bce010f8bad010f8baf4580b8"
    "080500f1d04580b86f7d0f9b11fe4493100e40922f090f8bef79b1b8914540b84f190f8bf17930b8a1feff54c0035fd6";
constexpr std::string_view kScoreArm =
    "082441a91f0109eb8a060054104440a92a0640f90b3240a90d3a41a90f1240f9007d0a9b108642a9310e40f92008008b41f57ed3"
    "05000014080500910000018b1f0109eba00400546479a8b8857964b86502f837a479a4b8e3031faae2031faaa5040091247e049b"
    "c409048b66fc44d3670c409263040091bf0003eb8678a6b8e619068bc678a7b84200068b01ffff545f0500f1aa000054e8ffff17"
    "e2031faa5f0500f1abfcff54e3031faa440cca9a017a63bc84880a9b421c00918000229e2028201e007823bc630400915f0103eb"
    "e1feff54d9ffff17c0035fd6";

std::vector<uint8_t> from_hex(std::string_view digits) {
  auto value = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
  std::vector<uint8_t> bytes;
  for (size_t i = 0; i + 1 < digits.size(); i += 2)
    bytes.push_back(uint8_t(value(digits[i]) * 16 + value(digits[i + 1])));
  return bytes;
}

// coefficient x the product of the given scalars.
CodeTermSpec term(int64_t coefficient, int16_t a = -1, int16_t b = -1) { return {coefficient, {a, b, -1}}; }

CodeOperandSpec read(ExpressionSpec extent, ExpressionSpec maximum = {}) {
  return {LLMRT_ACCESS_READ, 4, std::move(extent), std::move(maximum)};
}

} // namespace

uint32_t this_architecture() {
#if defined(__aarch64__)
  return LLMRT_ARCH_ARM64;
#else
  return LLMRT_ARCH_X86_64;
#endif
}

CodeSpec fake_code(uint32_t architecture) {
  bool arm = architecture == LLMRT_ARCH_ARM64;
  // Scalars of store: n, S, B, P; of score: n, V, S, B, P, T.
  VariantSpec store_all;
  store_all.id = kStoreId;
  store_all.code = from_hex(arm ? kStoreArm : kStoreX86);
  store_all.scalar_count = 4;
  store_all.items = {term(1, 0)};
  store_all.operands = {read({term(4, 0)}), read({term(4, 0)}, {term(16, 2)}), read({term(4, 0)}, {term(1, 1)}),
                        read({term(4, 1, 2)}, {term(1, 3)}),
                        {LLMRT_ACCESS_READ | LLMRT_ACCESS_WRITE, 64, {term(64, 3)}, {}}};

  VariantSpec score_one;
  score_one.id = kScoreId;
  score_one.code = from_hex(arm ? kScoreArm : kScoreX86);
  score_one.scalar_count = 6;
  score_one.last_rows = 1;
  score_one.items = {term(1, 0)};
  score_one.scratch = {term(64)};
  score_one.operands = {read({term(4, 0)}, {term(1, 5)}), read({term(4, 5)}, {term(16, 3)}),
                        read({term(4, 5)}, {term(1, 2)}), read({term(4, 2, 3)}, {term(1, 4)}),
                        {LLMRT_ACCESS_READ, 64, {term(64, 4)}, {}}, {LLMRT_ACCESS_READ, 64, {term(4, 1)}, {}},
                        {LLMRT_ACCESS_WRITE, 16, {term(4, 0, 1)}, {}}};
  score_one.constraints = {{term(1, 1), term(-1)}}; // V >= 1
  VariantSpec score_many = score_one;
  score_many.first_rows = 2;
  score_many.last_rows = INT64_MAX;
  return {architecture, 0, {store_all, score_one, score_many}};
}

ArtifactSpec fake_model() {
  ArtifactSpec spec;
  spec.model.vocabulary = kFakeVocabulary;
  std::array<float, kFakeVocabulary> bias;
  for (uint32_t j = 0; j < kFakeVocabulary; ++j)
    bias[j] = float(j) / 16;
  SegmentSpec weights{"weights", 0, {}, "packed", "", {}, {}, true, 0};
  weights.bytes.resize(sizeof bias);
  std::memcpy(weights.bytes.data(), bias.data(), sizeof bias);
  SegmentSpec code{"cpu-fake", 1, build_code(fake_code(this_architecture())), kFakeTier, "cpu", {}, {}, true, 0};
  spec.segments = {weights, code};
  spec.weights = {{"bias", 0, 0, sizeof bias, 1, kFakeVocabulary, 0, 1}};
  spec.arena = {{64}, {4 * kFakeVocabulary, kRows}};
  spec.buffers = {{"logits", "f32", {{64}}, {{4 * kFakeVocabulary, kRows}}}};
  spec.groups = {GroupSpec{}};
  spec.kernels = {{"store", {kStoreId.begin(), kStoreId.end()}}, {"score", {kScoreId.begin(), kScoreId.end()}}};
  auto input = [](uint32_t index) { return OperandSpec{2, index, 0, {}}; };
  DispatchSpec store_step, score_step;
  store_step.kernel = 0;
  store_step.operands = {input(0), input(1), input(2), input(5), {3, 0, 0, {}}};
  store_step.scalars = {{1, kTokens}, {1, kSequences}, {1, kMaxBlocks}, {1, kPages0}};
  store_step.label = "store";
  score_step.kernel = 1;
  score_step.operands = {input(3), input(1), input(2), input(5), {3, 0, 0, {}}, {1, 0, 0, {}}, {0, 0, 0, {}}};
  score_step.scalars = {{1, kRows},      {kFakeVocabulary, kOne}, {1, kSequences},
                        {1, kMaxBlocks}, {1, kPages0},            {1, kTokens}};
  score_step.label = "score";
  spec.programs = {{"step", {store_step, score_step}, 0}};
  return spec;
}

namespace {

// The operands' and the result's bytes behind those that are there.
template <typename T> std::pair<uint64_t, uint64_t> append_golden(ArtifactSpec &spec, const std::vector<T> &values) {
  uint64_t offset = spec.golden_bytes.size();
  const auto *bytes = reinterpret_cast<const uint8_t *>(values.data());
  spec.golden_bytes.insert(spec.golden_bytes.end(), bytes, bytes + values.size() * sizeof(T));
  return {offset, values.size() * sizeof(T)};
}

} // namespace

void add_fake_goldens(ArtifactSpec &spec) {
  using Ints = std::vector<int32_t>;
  const Ints ids{3, 5}, positions{0, 1}, sequence{0, 0}, table{0};
  Ints pool(16);
  GoldenSpec store{0, {2, 1, 1, 1}, {}, {}}; // n, S, B, P
  for (const Ints &operand : {ids, positions, sequence, table, pool})
    store.operands.push_back(append_golden(spec, operand));
  pool[0] = 3;
  pool[1] = 5;
  auto [at, bytes] = append_golden(spec, pool);
  store.results = {{4, 0, 0, at, bytes}};
  spec.goldens.push_back(store);
  for (int64_t n : {1, 2}) {
    GoldenSpec score{1, {n, kFakeVocabulary, 1, 1, 1, 2}, {}, {}}; // n, V, S, B, P, T
    std::vector<float> bias, logits;
    for (uint32_t j = 0; j < kFakeVocabulary; ++j)
      bias.push_back(float(j) / 16);
    for (int64_t row = 0; row < n; ++row)
      for (float logit : fake_logits(std::span(ids).first(size_t(row) + 1)))
        logits.push_back(logit);
    for (const Ints &operand : {n == 1 ? Ints{0} : Ints{0, 1}, positions, sequence, table, pool})
      score.operands.push_back(append_golden(spec, operand));
    score.operands.push_back(append_golden(spec, bias));
    score.operands.push_back(append_golden(spec, std::vector<float>(logits.size())));
    auto [first, size] = append_golden(spec, logits);
    score.results = {{6, 1e-6f, 0, first, size}};
    spec.goldens.push_back(score);
  }
}

ArtifactSpec fake_model_with_hidden() {
  ArtifactSpec spec = fake_model();
  spec.arena.push_back({4 * kFakeVocabulary, kHiddenRows});
  spec.buffers.push_back({"hidden", "f32", {{64}, {4 * kFakeVocabulary, kRows}}, {{4 * kFakeVocabulary, kHiddenRows}}});
  DispatchSpec score = spec.programs[0].dispatches[1];
  score.operands[0].index = uint32_t(schema::Input::HiddenRows);
  score.operands[6].index = 1;
  score.scalars[0].symbol = kHiddenRows;
  spec.programs[0].dispatches.push_back(score);
  spec.programs[0].hidden = 1;
  spec.programs[0].hidden_width = kFakeVocabulary;
  return spec;
}

std::vector<uint8_t> fake_ptx(std::string_view kernel) {
  std::vector<uint8_t> bytes(kernel.begin(), kernel.end());
  bytes.push_back(0);
  return bytes;
}

std::vector<uint8_t> fake_cubin(std::string_view kernel) {
  std::vector<uint8_t> bytes = {0x7f, 'E', 'L', 'F', 2, 1, 1};
  bytes.resize(64);
  bytes[18] = 190; // the machine: CUDA
  bytes.insert(bytes.end(), kernel.begin(), kernel.end());
  bytes.push_back(0);
  return bytes;
}

void add_fake_cuda(ArtifactSpec &spec) {
  for (uint32_t architecture : {LLMRT_ARCH_PTX, LLMRT_ARCH_CUBIN}) {
    bool ptx = architecture == LLMRT_ARCH_PTX;
    CodeSpec code = fake_code(architecture);
    for (VariantSpec &variant : code.variants) {
      std::string_view kernel = variant.id == kStoreId ? "store" : "score";
      variant.code = ptx ? fake_ptx(kernel) : fake_cubin(kernel);
      variant.scratch = {term(64)}; // threads of a workgroup
    }
    const char *tier = ptx ? "compute_75" : "sm_90";
    spec.segments.push_back({std::string("code.cuda.") + tier, 1, build_code(code), tier, "cuda", {}, {}, true, 0});
  }
}

ArtifactSpec fake_model_with_two_steps() {
  ArtifactSpec spec = fake_model();
  add_fake_cuda(spec);
  const SizeSpec first{{64}, {4 * kFakeVocabulary, kRows}}, both{{64}, {8 * kFakeVocabulary, kRows}};
  spec.arena = both;
  spec.buffers.push_back({"logits.gpu", "f32", first, {{4 * kFakeVocabulary, kRows}}});
  spec.programs.push_back(spec.programs[0]);
  ProgramSpec &cpu = spec.programs[0], &gpu = spec.programs[1];
  cpu.targets = {"cpu"};
  cpu.activations = "int8";
  cpu.arena = first;
  gpu.targets = {"cuda", "vulkan"};
  gpu.activations = "float";
  gpu.arena = both;
  gpu.logits = 1;
  gpu.dispatches[1].operands[6].index = 1;
  return spec;
}

std::array<float, kFakeVocabulary> fake_logits(std::span<const int32_t> ids) {
  int64_t sum = 0;
  for (int32_t id : ids)
    sum += id;
  std::array<float, kFakeVocabulary> logits;
  for (uint32_t j = 0; j < kFakeVocabulary; ++j)
    logits[j] = float((sum + 7 * j) % kFakeVocabulary) + float(j) / 16;
  return logits;
}

std::span<const llmrt_static_kernel> fake_static_kernels() {
  static const std::array<llmrt_static_kernel, 3> kernels = {{{{1, 2, 3}, kFakeTier, 0, store},
                                                              {{4, 5, 6}, kFakeTier, 0, score},
                                                              {{4, 5, 6}, kFakeTier, 2, score}}};
  return kernels;
}

} // namespace llmrt::testing
