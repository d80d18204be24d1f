#include "tools/llmrt/npy.h"

#include <cstdio>
#include <cstring>
#include <gtest/gtest.h>

namespace llmrt::tool {
namespace {

TEST(Npy, HeaderIsAlignedAndSaysTheShape) {
  std::string header = npy_header(5, 32000);
  EXPECT_EQ(header.size() % 64, 0u);
  EXPECT_EQ(header.substr(0, 8), std::string("\x93NUMPY\x01\x00", 8));
  size_t length = static_cast<unsigned char>(header[8]) + 256u * static_cast<unsigned char>(header[9]);
  EXPECT_EQ(length + 10, header.size());
  EXPECT_NE(header.find("'descr': '<f4', 'fortran_order': False, 'shape': (5, 32000), }"), std::string::npos);
  EXPECT_EQ(header.back(), '\n');
}

TEST(Npy, RowsMayComeInAnyOrderAndAgain) {
  std::string path = ::testing::TempDir() + "npy_test.npy";
  auto writer = NpyWriter::create(path, 3, 2);
  ASSERT_TRUE(writer.ok()) << writer.status().message();
  const float last[] = {5, 6}, first[] = {9, 9, 3, 4}, again[] = {1, 2};
  EXPECT_TRUE(writer->write_rows(2, last).ok());
  EXPECT_TRUE(writer->write_rows(0, first).ok());
  EXPECT_TRUE(writer->write_rows(0, again).ok());
  EXPECT_FALSE(writer->write_rows(2, first).ok()) << "past the end";
  EXPECT_FALSE(writer->write_rows(0, std::span(last, 1)).ok()) << "half a row";
  ASSERT_TRUE(writer->commit().ok());
  auto text = os::read_file(path, 1 << 20);
  ASSERT_TRUE(text.ok());
  std::string header = npy_header(3, 2);
  ASSERT_EQ(text->size(), header.size() + 24);
  float values[6];
  std::memcpy(values, text->data() + header.size(), sizeof values);
  for (int i = 0; i < 6; ++i)
    EXPECT_EQ(values[i], static_cast<float>(i + 1));
  std::remove(path.c_str());
}

} // namespace
} // namespace llmrt::tool
