// Everything the runtime asks of the operating system. Nothing outside os_*.cpp calls it directly; nothing here
// depends on a page of 4 KB or needs /proc to be there.
#pragma once

#include "runtime/base/status.h"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace llmrt::os {

// ---- files ---------------------------------------------------------------------------------------------------------
// An open file descriptor, closed on destruction.
class File {
public:
  File() = default;
  explicit File(int descriptor) : descriptor_(descriptor) {}
  File(File &&other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  File &operator=(File &&other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }
  ~File();
  int descriptor() const { return descriptor_; }

private:
  int descriptor_ = -1;
};

// kNotFound if it is not there, kInvalidArgument if it is a directory or cannot be read.
Result<File> open_read(const std::string &path);
Result<uint64_t> file_bytes(const File &file); // regular files only
// A whole file of at most `limit` bytes; kInvalidArgument if it is larger.
Result<std::string> read_file(const std::string &path, uint64_t limit);
// Ok if it is there; parents must exist. `mode`: its permissions, which the umask lowers.
Status make_directory(const std::string &path, unsigned mode = 0777);
// What is in a folder, by name in order, without "." and "..". kNotFound if it is not there, kInvalidArgument if it is
// no folder or cannot be read.
Result<std::vector<std::string>> list_folder(const std::string &path);
// The absolute path without links, "." and ".."; kNotFound if nothing is there.
Result<std::string> real_path(const std::string &path);
bool is_regular_file(const std::string &path); // behind links too; opens nothing

// Writes to a temporary name in the same folder; commit() flushes it to disk and renames it over `path`. Without
// commit() nothing is left behind. Errors (a full disk, a read-only folder) name the path.
class AtomicFile {
public:
  // `announce` is told the temporary name before a file appears under it (and a next one, should the first be taken):
  // a signal handler that cleans up then has no moment in which it does not know.
  static Result<AtomicFile> create(const std::string &path,
                                   const std::function<void(const std::string &)> &announce = {});
  AtomicFile(AtomicFile &&other) noexcept;
  AtomicFile &operator=(AtomicFile &&) = delete;
  ~AtomicFile();

  Status write(std::span<const std::byte> bytes);                        // appends
  Status write_at(uint64_t offset, std::span<const std::byte> bytes);    // anywhere; does not move the end of write()
  Status pad_to(uint64_t offset);                                        // zeros up to offset
  uint64_t offset() const { return offset_; }                            // where write() appends
  const std::string &temporary_path() const { return temporary_; }       // until commit()
  Status commit();

private:
  AtomicFile(File file, std::string path, std::string temporary);
  Status error(const char *what) const;

  File file_;
  std::string path_, temporary_; // temporary_ is empty once nothing must be removed
  uint64_t offset_ = 0;
};

// ---- memory --------------------------------------------------------------------------------------------------------
// A range of mapped memory, unmapped on destruction.
class Mapping {
public:
  Mapping() = default;
  Mapping(void *data, size_t bytes) : data_(data), bytes_(bytes) {}
  Mapping(Mapping &&other) noexcept
      : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
  Mapping &operator=(Mapping &&other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~Mapping();
  std::byte *data() const { return static_cast<std::byte *>(data_); }
  size_t bytes() const { return bytes_; }
  std::span<const std::byte> view() const { return {data(), bytes_}; }

private:
  void *data_ = nullptr;
  size_t bytes_ = 0;
};

enum class FileAccess { kRead, kReadExecute };

// Maps [offset, offset + bytes) of a file; offset must be a multiple of the page size. Zero bytes give an empty
// mapping. A file cut short afterwards faults on access: artifacts are replaced by renaming, never rewritten.
Result<Mapping> map_file(const File &file, uint64_t offset, size_t bytes, FileAccess access);
Result<Mapping> map_file(int descriptor, uint64_t offset, size_t bytes, FileAccess access);

// Zeroed memory, page-aligned; pages are taken when first touched. huge_pages is advice only.
Result<Mapping> map_memory(size_t bytes, bool huge_pages);

// A copy of `code` in memory that was writable and is now executable, never both.
Result<Mapping> map_code(std::span<const std::byte> code);

// Zeroed memory with an inaccessible page right before and right after it: data() + bytes() is the guard, or, with
// `at_start`, data() - 1. For tests of kernels.
class GuardedMemory {
public:
  static Result<GuardedMemory> create(size_t bytes, bool at_start);
  std::byte *data() const { return data_; }
  size_t bytes() const { return bytes_; }

private:
  Mapping whole_;
  std::byte *data_ = nullptr;
  size_t bytes_ = 0;
};

// A library of the system, opened at run time: for what may be missing.
class SharedLibrary {
public:
  SharedLibrary() = default;
  SharedLibrary(SharedLibrary &&other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  SharedLibrary &operator=(SharedLibrary &&other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~SharedLibrary();
  // kNotFound with the system's reason.
  static Result<SharedLibrary> open(const char *name);
  void *symbol(const char *name) const; // null if it is not there

private:
  explicit SharedLibrary(void *handle) : handle_(handle) {}
  void *handle_ = nullptr;
};

void advise_sequential(std::span<const std::byte> mapped); // read ahead; advice only
void advise_needed(std::span<const std::byte> mapped);

// From now on blocks of a MiB and more go back to the system when they are freed: one large request does not stay in the
// size of a process that serves many.
void return_large_blocks();

size_t page_size();
uint64_t available_memory();  // bytes that can be taken without swapping; an estimate, 0 where nobody says
uint64_t total_memory();      // of the machine or the container, whatever is less; 0 where nobody says
uint64_t peak_rss_bytes();    // of this process; 0 where nobody says
uint64_t current_rss_bytes(); // likewise; the peak where only that is known
uint64_t virtual_bytes();     // address space in use; 0 where nobody says
int64_t open_files();         // descriptors of this process; -1 where nobody says
int64_t open_files_limit();   // likewise
void raise_open_files_limit(); // to the most that this process may have
uint64_t data_bytes();        // private writable memory now (what RLIMIT_DATA counts); 0 where nobody says

// ---- threads, time, terminal ---------------------------------------------------------------------------------------
// A thread with an explicit stack, joined on destruction.
class Thread {
public:
  Thread();
  Thread(Thread &&) noexcept;
  Thread &operator=(Thread &&) noexcept;
  ~Thread();
  static Result<Thread> start(size_t stack_bytes, std::function<void()> body);
  void join();

private:
  struct State;
  std::unique_ptr<State> state_;
};

// Sleeps while `word` is `expected`; may also return for no reason. wake() wakes up to `count` sleepers on `word`.
void wait_on(std::atomic<uint32_t> &word, uint32_t expected);
void wake(std::atomic<uint32_t> &word, int count);

int usable_cpus();        // of this process's affinity mask; at least 1
uint64_t monotonic_ns();
uint64_t cpu_hwcaps(int word); // the auxiliary vector's AT_HWCAP (0) or AT_HWCAP2 (1); 0 where there is none
// Linux gives a process the registers of AMX's tiles only if it asks (arch_prctl, ARCH_REQ_XCOMP_PERM): for good, for all
// its threads. False where it does not, where a signal stack is too small for them, and on other systems.
bool allow_tile_registers();
bool is_terminal(int descriptor);
std::string environment(const char *name); // empty if not set

} // namespace llmrt::os
