#include "compiler/import/Safetensors.h"
#include "runtime/packing/half.h"
#include "compiler/import/TestFiles.h"

#include <cstring>
#include <gmock/gmock.h>
#include <thread>

using namespace llmc;
using testing::ElementsAre;
using testing::HasSubstr;

namespace {

std::string floats(std::initializer_list<float> values) {
  return std::string(reinterpret_cast<const char *>(values.begin()), values.size() * 4);
}

std::string errorOf(llvm::StringRef file) {
  auto source = readSafetensors(file, "m.safetensors");
  return source ? "" : llvm::toString(source.takeError());
}

std::string errorOfHeader(llvm::StringRef header, size_t dataBytes = 8) {
  std::string file = safetensors(header, std::string(dataBytes, '\0'));
  return errorOf(file);
}

std::unique_ptr<TensorSource> sourceOf(const std::string &file) {
  return llvm::cantFail(readSafetensors(file, "m.safetensors"));
}

std::vector<float> rowsOf(const TensorSource &source, llvm::StringRef name, int64_t first, int64_t count,
                          int64_t columns, bool transpose = false) {
  std::vector<float> out(count * columns);
  llvm::cantFail(source.readRows(*source.find(name), first, count, transpose, out));
  return out;
}

TEST(Safetensors, ReadsRowsOfEveryType) {
  std::string data = floats({1, 2, 3, 4, 5, 6});
  for (float value : {1.5f, -0.25f, 65504.0f, 0x1p-24f}) {
    uint16_t half = llmrt::packing::f32_to_f16(value);
    data.append(reinterpret_cast<const char *>(&half), 2);
  }
  for (float value : {1.5f, -3.0f}) {
    uint16_t brain = llmrt::packing::f32_to_bf16(value);
    data.append(reinterpret_cast<const char *>(&brain), 2);
  }
  // The header's length is odd, so nothing is aligned.
  std::string file = safetensors(R"({"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[3,2],"data_offsets":[0,24]},)"
                                 R"("h":{"dtype":"F16","shape":[4],"data_offsets":[24,32]},)"
                                 R"("b":{"shape":[1,2],"data_offsets":[32,36],"dtype":"BF16"}} )", data);
  auto source = sourceOf(file);
  EXPECT_THAT(source->names(), ElementsAre("a", "b", "h"));
  EXPECT_THAT(source->find("a")->shape, ElementsAre(3, 2));
  EXPECT_THAT(rowsOf(*source, "a", 1, 2, 2), ElementsAre(3, 4, 5, 6));
  EXPECT_THAT(rowsOf(*source, "a", 0, 2, 3, true), ElementsAre(1, 3, 5, 2, 4, 6));
  EXPECT_THAT(rowsOf(*source, "a", 1, 1, 3, true), ElementsAre(2, 4, 6));
  EXPECT_THAT(rowsOf(*source, "h", 0, 4, 1), ElementsAre(1.5f, -0.25f, 65504.0f, 0x1p-24f));
  EXPECT_THAT(rowsOf(*source, "b", 0, 1, 2), ElementsAre(1.5f, -3.0f));
  EXPECT_EQ(source->find("b")->element, ElementType::BF16);
  EXPECT_EQ(source->find("c"), nullptr);
}

TEST(Safetensors, RowsOutOfRangeAreRefused) {
  std::string file = safetensors(R"({"a":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]},"v":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}})",
                                 floats({1, 2, 3}));
  auto source = sourceOf(file);
  std::vector<float> out(2);
  for (auto [first, count] : {std::pair<int64_t, int64_t>(1, 2), {-1, 2}, {INT64_MAX, 2}, {0, 1}, {3, 0}}) {
    llvm::Error error = source->readRows(*source->find("a"), first, count, false, out);
    EXPECT_THAT(llvm::toString(std::move(error)), HasSubstr("are not in its shape [2, 1]"));
  }
  llvm::Error error = source->readRows(*source->find("v"), 0, 1, true, llvm::MutableArrayRef(out).take_front(1));
  EXPECT_THAT(llvm::toString(std::move(error)), HasSubstr("vector"));
}

TEST(Safetensors, TransposesLargeMatricesOnSeveralThreads) {
  int64_t stored = 150, rows = 203;
  std::string data;
  for (int64_t i = 0; i < stored * rows; ++i) data += floats({float(i)});
  std::string file = safetensors(R"({"a":{"dtype":"F32","shape":[150,203],"data_offsets":[0,121800]}})", data);
  auto source = sourceOf(file);
  auto check = [&](int64_t first, int64_t count) {
    std::vector<float> out = rowsOf(*source, "a", first, count, stored, true);
    for (int64_t r = 0; r < count; ++r)
      for (int64_t c = 0; c < stored; ++c) ASSERT_EQ(out[r * stored + c], float(c * rows + first + r));
  };
  std::thread other([&] { check(16, 187); });
  check(0, 203);
  check(101, 16);
  other.join();
}

TEST(Safetensors, DamagedFiles) {
  std::string good = safetensors(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", floats({1, 2}));
  EXPECT_EQ(errorOf(good), "");
  for (size_t length = 0; length < good.size(); ++length) {
    std::string cut(good.data(), length);
    EXPECT_THAT(errorOf(cut), HasSubstr("m.safetensors: ")) << length;
  }
  EXPECT_THAT(errorOf(good.substr(0, good.size() - 1)), HasSubstr("downloaded to its end"));
  EXPECT_THAT(errorOf(good + "x"), HasSubstr("1 bytes at the end"));
  EXPECT_THAT(errorOf(std::string(7, '\xff') + std::string(100, '{')), HasSubstr("not a safetensors file"));
  EXPECT_THAT(errorOf("version https://git-lfs.github.com/spec/v1\n"), HasSubstr("git lfs pull"));
}

TEST(Safetensors, HostileHeaders) {
  auto tensor = [](llvm::StringRef fields) { return "{\"a\":{" + fields.str() + "}}"; };
  EXPECT_EQ(errorOfHeader("{}", 0), "");
  EXPECT_THAT(errorOfHeader("[]"), HasSubstr("no header"));
  EXPECT_THAT(errorOfHeader("{\"a\""), HasSubstr("not JSON at byte"));
  EXPECT_THAT(errorOfHeader(R"({"a":5})"), HasSubstr("a number in 'a'"));
  EXPECT_THAT(errorOfHeader(R"({"a":null})"), HasSubstr("null"));
  EXPECT_THAT(errorOfHeader(R"({"__metadata__":{"x":{}}})"), HasSubstr("an object"));
  EXPECT_THAT(errorOfHeader(R"({"__metadata__":{"x":1}})"), HasSubstr("a number"));
  EXPECT_THAT(errorOfHeader(tensor(R"("dtype":"F32","shape":[[2]],"data_offsets":[0,8])")),
              HasSubstr("an array"));
  EXPECT_THAT(errorOfHeader(tensor(R"("dtype":"F32","shape":[-2],"data_offsets":[0,8])")),
              HasSubstr("negative"));
  EXPECT_THAT(errorOfHeader(tensor(R"("dtype":"F32","shape":[2.0],"data_offsets":[0,8])")),
              HasSubstr("fraction"));
  EXPECT_THAT(errorOfHeader(tensor(R"("dtype":"F32","shape":[2],"data_offsets":[0,4,8])")),
              HasSubstr("more than two"));
  EXPECT_THAT(errorOfHeader(tensor(R"("dtype":"F32","shape":[2],"data_offsets":[0])")),
              HasSubstr("lacks"));
  EXPECT_THAT(errorOfHeader(tensor(R"("dtype":"F32","shape":[2])")),
              HasSubstr("lacks"));
  EXPECT_THAT(errorOfHeader(tensor(R"("dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8])")),
              HasSubstr("twice"));
  EXPECT_THAT(errorOfHeader(tensor(R"("dtype":"F32","shape":[2],"data_offsets":[0,8],"x":1)")),
              HasSubstr("field 'x'"));
  EXPECT_THAT(errorOfHeader(tensor(R"("dtype":["F32"],"shape":[2],"data_offsets":[0,8])")),
              HasSubstr("an array"));
  EXPECT_THAT(errorOfHeader(tensor(R"("dtype":"F32","shape":[2],"data_offsets":[8,0])")),
              HasSubstr("before they begin"));
  EXPECT_THAT(errorOfHeader(tensor(R"("dtype":"F32","shape":[2],"data_offsets":[4,12])")),
              HasSubstr("behind the end"));
  EXPECT_THAT(errorOfHeader(tensor(R"("dtype":"F32","shape":[1],"data_offsets":[4,8])")),
              HasSubstr("hole"));
  EXPECT_THAT(errorOfHeader(tensor(R"("dtype":"F32","shape":[3],"data_offsets":[0,8])")),
              HasSubstr("do not need"));
  // 2^62 x 4 bytes wrap to 0, 2^61 + 2 to 8.
  EXPECT_THAT(errorOfHeader(tensor(R"("dtype":"F32","shape":[4611686018427387904],"data_offsets":[0,0])")),
              HasSubstr("do not need"));
  EXPECT_THAT(errorOfHeader(tensor(R"("dtype":"F32","shape":[2305843009213693954,2],"data_offsets":[0,8])")),
              HasSubstr("do not need"));
  EXPECT_THAT(errorOfHeader(tensor(R"("dtype":"F32","shape":[18446744073709551615],"data_offsets":[0,8])")),
              HasSubstr("2^63"));
  EXPECT_THAT(errorOfHeader(tensor(R"("dtype":"F32","shape":[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,2],"data_offsets":[0,8])")),
              HasSubstr("dimensions"));
  std::string twice = R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})";
  EXPECT_THAT(errorOfHeader(twice), HasSubstr("tensor 'a' twice"));
  std::string overlap = R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})";
  EXPECT_THAT(errorOfHeader(overlap), HasSubstr("overlap"));
  EXPECT_THAT(errorOfHeader("{" + std::string(5'000'000, '['), 0), HasSubstr("not JSON"));
}

TEST(Safetensors, EmptyTensorsAndHugeEmptyShapes) {
  std::string file = safetensors(R"({"a":{"dtype":"F32","shape":[0,9223372036854775807,9223372036854775807],"data_offsets":[0,0]},"s":{"dtype":"F32","shape":[],"data_offsets":[0,4]}})",
                                 floats({7}));
  auto source = sourceOf(file);
  EXPECT_THAT(rowsOf(*source, "s", 0, 1, 1), ElementsAre(7));
  std::vector<float> none;
  EXPECT_FALSE(bool(source->readRows(*source->find("a"), 0, 0, false, none)));
  std::vector<float> one(1);
  EXPECT_THAT(llvm::toString(source->readRows(*source->find("a"), 0, 1, false, one)), HasSubstr("not in its shape"));
}

TEST(Safetensors, OtherTypesMatterOnlyWhereTheyAreNeeded) {
  std::string file = safetensors(R"({"model.a":{"dtype":"I64","shape":[1],"data_offsets":[0,8]},"model.f":{"dtype":"F6_E2M3","shape":[3],"data_offsets":[8,12]}})",
                                 std::string(12, '\0'));
  auto source = sourceOf(file);
  EXPECT_EQ(source->find("model.a"), nullptr);
  models::TensorSpec needed = {"model.a", {1}};
  EXPECT_THAT(llvm::toString(checkTensors(needed, *source)), HasSubstr("'model.a' has type I64; F32, F16 and BF16"));
  EXPECT_FALSE(bool(checkTensors({}, *source)));
}

TEST(Safetensors, NamesWithoutTheBaseModelsPrefix) {
  std::string bare = safetensors(R"({"h.0.w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", floats({3}));
  auto source = sourceOf(bare);
  ASSERT_NE(source->find("transformer.h.0.w"), nullptr);
  EXPECT_THAT(rowsOf(*source, "model.h.0.w", 0, 1, 1), ElementsAre(3));
  EXPECT_EQ(source->find("transformer.h.0.x"), nullptr);
  EXPECT_EQ(source->find("other.h.0.w"), nullptr);
  // A file that has the prefix means what it says.
  std::string prefixed = safetensors(R"({"a.w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"model.b.w":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
                                     floats({3, 4}));
  auto other = sourceOf(prefixed);
  EXPECT_EQ(other->find("model.a.w"), nullptr);
  EXPECT_NE(other->find("model.b.w"), nullptr);
}

TEST(Safetensors, CheckNamesWhatDoesNotFit) {
  std::string file = safetensors(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", floats({1, 2}));
  auto source = sourceOf(file);
  std::vector<models::TensorSpec> specs = {{"a", {1, 2}}};
  for (int i = 0; i < 9; ++i) specs.push_back({"missing." + std::to_string(i), {4, 4}});
  std::string message = llvm::toString(checkTensors(specs, *source));
  EXPECT_THAT(message, HasSubstr("10 tensors"));
  EXPECT_THAT(message, HasSubstr("'a' has shape [2], config.json asks for [1, 2]"));
  EXPECT_THAT(message, HasSubstr("'missing.0' is missing, expected [4, 4]"));
  EXPECT_THAT(message, HasSubstr("and 5 more"));

  models::TensorSpec huge = {"a", {int64_t(1) << 40, int64_t(1) << 40}};
  auto random = makeRandomTensors(huge, 1, 0.02, ElementType::F32);
  EXPECT_THAT(llvm::toString(checkTensors(huge, *random)), HasSubstr("no machine can hold"));
}

TEST(Safetensors, ShardsThroughAnIndex) {
  TestFolder folder;
  folder.write("one.safetensors", safetensors(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"x":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})", floats({1, 9})));
  folder.write("two.safetensors", safetensors(R"({"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", floats({2})));
  auto open = [&](llvm::StringRef index) {
    return openSafetensorsIndex(folder.write("model.safetensors.index.json", index));
  };
  auto source = open(R"({"metadata":{},"weight_map":{"a":"one.safetensors","b":"two.safetensors"}})");
  ASSERT_TRUE(bool(source)) << llvm::toString(source.takeError());
  EXPECT_THAT((*source)->names(), ElementsAre("a", "b"));
  EXPECT_THAT(rowsOf(**source, "b", 0, 1, 1), ElementsAre(2));

  auto message = [&](llvm::StringRef index) { return llvm::toString(open(index).takeError()); };
  EXPECT_THAT(message(R"({"weight_map":{"b":"one.safetensors"}})"), HasSubstr("lacks tensor 'b'"));
  EXPECT_THAT(message(R"({"weight_map":{"b":"none.safetensors"}})"), HasSubstr("none.safetensors: "));
  for (const char *bad : {R"("../two.safetensors")", R"("/etc/passwd")", R"("..")", R"("")", "3", R"("a\\b")", R"("a\u0000")"})
    EXPECT_THAT(message(std::string(R"({"weight_map":{"b":)") + bad + "}}"), HasSubstr("beside the index")) << bad;
  EXPECT_THAT(message(R"({"weight_map":{}})"), HasSubstr("weight_map"));
  EXPECT_THAT(message(R"({})"), HasSubstr("weight_map"));
  EXPECT_THAT(message(R"([)"), HasSubstr("not JSON"));
}

TEST(Safetensors, FilesThatAreNone) {
  TestFolder folder;
  EXPECT_THAT(llvm::toString(openSafetensors(folder.path("none")).takeError()), HasSubstr("No such file"));
  EXPECT_THAT(llvm::toString(openSafetensors(folder.path()).takeError()), HasSubstr("egular file"));
  EXPECT_THAT(llvm::toString(openSafetensors(folder.write("empty", "")).takeError()), HasSubstr("too short"));
}

TEST(Safetensors, ARealModel) {
  auto source = llvm::cantFail(openSafetensors(testModel("stories260k") + "/model.safetensors"));
  EXPECT_EQ(source->names().size(), 47u);
  const TensorInfo *embedding = source->find("model.embed_tokens.weight");
  ASSERT_NE(embedding, nullptr);
  EXPECT_THAT(embedding->shape, ElementsAre(512, 64));
  std::vector<float> all = rowsOf(*source, "model.embed_tokens.weight", 0, 512, 64);
  std::vector<float> turned = rowsOf(*source, "model.embed_tokens.weight", 0, 64, 512, true);
  double sum = 0;
  for (int r = 0; r < 512; ++r)
    for (int c = 0; c < 64; ++c) {
      ASSERT_EQ(all[r * 64 + c], turned[c * 512 + r]);
      sum += double(all[r * 64 + c]) * all[r * 64 + c];
    }
  EXPECT_GT(sum, 1.0);
}

} // namespace
