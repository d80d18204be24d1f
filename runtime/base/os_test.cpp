#include "runtime/base/os.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <filesystem>
#include <string>

#include <sys/resource.h>
#include <csignal>

namespace llmrt {
namespace {

namespace fs = std::filesystem;

class TemporaryFolder {
public:
  TemporaryFolder() {
    std::string pattern = (fs::temp_directory_path() / "llmrt-os-XXXXXX").string();
    path_ = ::mkdtemp(pattern.data());
  }
  ~TemporaryFolder() { fs::remove_all(path_); }
  std::string file(const char *name) const { return (path_ / name).string(); }
  size_t entries() const { return size_t(std::distance(fs::directory_iterator(path_), fs::directory_iterator())); }

private:
  fs::path path_;
};

std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

TEST(Folders, AreListedAndPathsFollowed) {
  TemporaryFolder folder;
  for (const char *name : {"b", "a", ".c"})
    ASSERT_NE(std::fclose(std::fopen(folder.file(name).c_str(), "w")), EOF);
  fs::create_symlink("a", folder.file("link"));
  auto names = os::list_folder(folder.file(""));
  ASSERT_TRUE(names) << names.status().message();
  EXPECT_EQ(*names, (std::vector<std::string>{".c", "a", "b", "link"}));
  EXPECT_EQ(os::list_folder(folder.file("none")).status().code(), StatusCode::kNotFound);
  EXPECT_EQ(os::list_folder(folder.file("a")).status().code(), StatusCode::kInvalidArgument);
  auto path = os::real_path(folder.file("./link"));
  ASSERT_TRUE(path) << path.status().message();
  EXPECT_EQ(*path, fs::canonical(folder.file("a")).string());
  EXPECT_EQ(os::real_path(folder.file("none")).status().code(), StatusCode::kNotFound);
  EXPECT_TRUE(os::is_regular_file(folder.file("link")));
  EXPECT_FALSE(os::is_regular_file(folder.file("")));
  EXPECT_FALSE(os::is_regular_file(folder.file("none")));
}

TEST(AtomicFile, AppearsWhenCommitted) {
  TemporaryFolder folder;
  std::string path = folder.file("x");
  {
    auto file = os::AtomicFile::create(path);
    ASSERT_TRUE(file) << file.status().message();
    ASSERT_TRUE(file->write(bytes_of("hello")).ok());
    ASSERT_TRUE(file->pad_to(10000).ok());
    ASSERT_TRUE(file->write(bytes_of("end")).ok());
    ASSERT_TRUE(file->write_at(0, bytes_of("J")).ok());
    EXPECT_FALSE(fs::exists(path));
    ASSERT_TRUE(file->commit().ok());
  }
  auto text = os::read_file(path, 1 << 20);
  ASSERT_TRUE(text);
  EXPECT_EQ(text->substr(0, 6), std::string("Jello\0", 6));
  EXPECT_EQ(text->size(), 10003u);
  EXPECT_EQ(text->substr(10000), "end");
  EXPECT_EQ(folder.entries(), 1u);
}

TEST(AtomicFile, LeavesNothingWithoutCommit) {
  TemporaryFolder folder;
  {
    auto file = os::AtomicFile::create(folder.file("x"));
    ASSERT_TRUE(file);
    ASSERT_TRUE(file->write(bytes_of("hello")).ok());
  }
  EXPECT_EQ(folder.entries(), 0u);
}

TEST(AtomicFile, SaysWhereItCannotWrite) {
  TemporaryFolder folder;
  auto file = os::AtomicFile::create(folder.file("missing/x"));
  ASSERT_FALSE(file);
  EXPECT_NE(file.status().message().find("missing/x"), std::string::npos);
}

TEST(AtomicFile, AFullDiskIsAnError) {
  TemporaryFolder folder;
  // RLIMIT_FSIZE stands in for a full disk: writes past it fail the same way.
  struct rlimit before;
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  struct rlimit small = before;
  small.rlim_cur = 8192;
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  Status status;
  {
    auto file = os::AtomicFile::create(folder.file("x"));
    ASSERT_TRUE(file);
    status = file->pad_to(100000);
  }
  ::setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, old_handler);
  EXPECT_EQ(status.code(), StatusCode::kExhausted);
  EXPECT_NE(status.message().find(folder.file("x")), std::string::npos);
  EXPECT_EQ(folder.entries(), 0u);
}

TEST(ReadFile, Errors) {
  TemporaryFolder folder;
  EXPECT_EQ(os::read_file(folder.file("none"), 10).status().code(), StatusCode::kNotFound);
  EXPECT_EQ(os::read_file(folder.file("."), 10).status().code(), StatusCode::kInvalidArgument);
  auto file = os::AtomicFile::create(folder.file("big"));
  ASSERT_TRUE(file);
  ASSERT_TRUE(file->pad_to(11).ok());
  ASSERT_TRUE(file->commit().ok());
  EXPECT_FALSE(os::read_file(folder.file("big"), 10));
  EXPECT_TRUE(os::read_file(folder.file("big"), 11));
}

TEST(Mapping, FileRange) {
  TemporaryFolder folder;
  auto file = os::AtomicFile::create(folder.file("x"));
  ASSERT_TRUE(file);
  ASSERT_TRUE(file->pad_to(65536).ok());
  ASSERT_TRUE(file->write(bytes_of("tail")).ok());
  ASSERT_TRUE(file->commit().ok());
  auto opened = os::open_read(folder.file("x"));
  ASSERT_TRUE(opened);
  EXPECT_EQ(*os::file_bytes(*opened), 65540u);
  auto mapping = os::map_file(*opened, 65536, 4, os::FileAccess::kRead);
  ASSERT_TRUE(mapping) << mapping.status().message();
  EXPECT_EQ(std::memcmp(mapping->data(), "tail", 4), 0);
  auto empty = os::map_file(*opened, 0, 0, os::FileAccess::kRead);
  ASSERT_TRUE(empty);
  EXPECT_EQ(empty->bytes(), 0u);
}

TEST(Mapping, MemoryIsZeroAndHugeRequestsFail) {
  auto memory = os::map_memory(3 << 20, true);
  ASSERT_TRUE(memory);
  for (size_t i = 0; i < memory->bytes(); i += 4096)
    ASSERT_EQ(memory->data()[i], std::byte(0));
  EXPECT_FALSE(os::map_memory(size_t(1) << 62, false));
}

TEST(GuardedMemoryDeathTest, FaultsOutside) {
  for (bool at_start : {false, true}) {
    auto memory = os::GuardedMemory::create(100, at_start);
    ASSERT_TRUE(memory);
    std::memset(memory->data(), 1, 100);
    volatile std::byte *outside = at_start ? memory->data() - 1 : memory->data() + 100;
    EXPECT_DEATH((void)*outside, "");
  }
}

TEST(Thread, RunsWithItsOwnStack) {
  std::atomic<int> ran = 0;
  auto thread = os::Thread::start(256 << 10, [&] { ran = 1; });
  ASSERT_TRUE(thread);
  thread->join();
  EXPECT_EQ(ran.load(), 1);
}

TEST(System, SaysWhatItHas) {
  EXPECT_GE(os::usable_cpus(), 1);
  EXPECT_GE(os::page_size(), 4096u);
  EXPECT_GT(os::available_memory(), 1u << 20);
  EXPECT_GE(os::total_memory(), os::available_memory());
  EXPECT_GT(os::peak_rss_bytes(), 1u << 20);
  EXPECT_GE(os::virtual_bytes(), os::current_rss_bytes());
  EXPECT_GE(os::open_files(), 3);
  EXPECT_GE(os::open_files_limit(), os::open_files());
  uint64_t before = os::monotonic_ns();
  EXPECT_GE(os::monotonic_ns(), before);
}

TEST(System, OpenFilesAreRaisedToTheMost) {
  rlimit old;
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &old), 0);
  rlimit low = old;
  low.rlim_cur = 64;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &low), 0);
  EXPECT_EQ(os::open_files_limit(), 64);
  os::raise_open_files_limit();
  EXPECT_EQ(os::open_files_limit(), int64_t(old.rlim_max));
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &old), 0);
}

} // namespace
} // namespace llmrt
