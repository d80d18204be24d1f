#include "runtime/base/os.h"
#include "tools/llmrt/bench_run.h"
#include "tools/llmrt/common.h"

#include <gtest/gtest.h>

namespace llmrt::tool {
namespace {

TEST(Ids, CommasAndSpacesSeparate) {
  auto ids = parse_ids(" 1,2 ,3\n4\t-5,\n");
  ASSERT_TRUE(ids.ok());
  EXPECT_EQ(*ids, (std::vector<int32_t>{1, 2, 3, 4, -5}));
  EXPECT_TRUE(parse_ids("")->empty());
  for (const char *bad : {"1,x", "1.5", "99999999999", "1;2"})
    EXPECT_FALSE(parse_ids(bad).ok()) << bad;
}

TEST(Ids, LinesAreSequences) {
  std::string path = ::testing::TempDir() + "ids_test.txt";
  auto write = [&path](std::string_view text) {
    auto file = os::AtomicFile::create(path);
    ASSERT_TRUE(file.ok() && file->write(std::as_bytes(std::span(text))).ok() && file->commit().ok());
  };
  write("1,2\n3\n");
  auto lines = read_id_lines(path);
  ASSERT_TRUE(lines.ok());
  EXPECT_EQ(*lines, (std::vector<std::vector<int32_t>>{{1, 2}, {3}}));
  write("1,2\n\n3\n");
  EXPECT_FALSE(read_id_lines(path).ok()) << "an empty line is no sequence";
  write("1 2 3");
  EXPECT_EQ(*read_ids("@" + path), (std::vector<int32_t>{1, 2, 3}));
  std::remove(path.c_str());
  EXPECT_FALSE(read_ids("@" + path).ok());
}

TEST(RandomIds, AreInRangeAndTheSameForASeed) {
  auto ids = random_ids(7, 1000, 100);
  EXPECT_EQ(ids, random_ids(7, 1000, 100));
  EXPECT_NE(ids, random_ids(8, 1000, 100));
  for (int32_t id : ids)
    EXPECT_TRUE(id >= 0 && id < 100);
}

} // namespace
} // namespace llmrt::tool
