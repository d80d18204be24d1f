// Mapped memory and what the system says about memory.
#include "runtime/base/os.h"
#include "runtime/base/text.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>

#include <dirent.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/sysinfo.h>
#endif
#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace llmrt::os {

namespace {

Status map_error(const char *what, size_t bytes) {
  return Status(StatusCode::kExhausted,
                std::string(what) + " of " + std::to_string(bytes) + " bytes failed: " + std::strerror(errno));
}

// The number after `key` in a text of "key: value kB" lines, in bytes; 0 if it is not there.
uint64_t kilobytes_line(const std::string &text, std::string_view key) {
  size_t at = text.find(key);
  if (at == std::string::npos || (at > 0 && text[at - 1] != '\n'))
    return 0;
  at += key.size();
  while (at < text.size() && (text[at] == ' ' || text[at] == '\t' || text[at] == ':'))
    ++at;
  size_t end = at;
  while (end < text.size() && text[end] >= '0' && text[end] <= '9')
    ++end;
  uint64_t value = 0;
  return parse_integer(std::string_view(text).substr(at, end - at), value) ? value * 1024 : 0;
}

// /proc and cgroup files say that they have no bytes: read what comes, up to 64 KB.
std::string read_pseudo_file(const char *path) {
  Result<File> file = open_read(path);
  if (!file)
    return {};
  std::string text(65536, '\0');
  size_t at = 0;
  while (at < text.size()) {
    ssize_t got = ::read(file->descriptor(), text.data() + at, text.size() - at);
    if (got <= 0)
      break;
    at += size_t(got);
  }
  text.resize(at);
  return text;
}

// What a container's limit leaves; UINT64_MAX without one.
uint64_t cgroup_memory_left() {
  uint64_t limit = 0, used = 0;
  if (!parse_integer(trim(read_pseudo_file("/sys/fs/cgroup/memory.max")), limit) ||
      !parse_integer(trim(read_pseudo_file("/sys/fs/cgroup/memory.current")), used))
    return UINT64_MAX;
  // Pages of files count as used but can be dropped.
  std::string statistics = read_pseudo_file("/sys/fs/cgroup/memory.stat");
  for (std::string_view key : {"\ninactive_file ", "\nactive_file "}) {
    size_t at = statistics.find(key);
    if (at == std::string::npos)
      continue;
    std::string_view rest = std::string_view(statistics).substr(at + key.size());
    uint64_t droppable = 0;
    (void)parse_integer(rest.substr(0, rest.find('\n')), droppable);
    used -= std::min(used, droppable);
  }
  return limit > used ? limit - used : 0;
}

} // namespace

Mapping::~Mapping() {
  if (data_)
    ::munmap(data_, bytes_);
}

Result<Mapping> map_file(const File &file, uint64_t offset, size_t bytes, FileAccess access) {
  return map_file(file.descriptor(), offset, bytes, access);
}

Result<Mapping> map_file(int descriptor, uint64_t offset, size_t bytes, FileAccess access) {
  if (bytes == 0)
    return Mapping();
  int protection = PROT_READ | (access == FileAccess::kReadExecute ? PROT_EXEC : 0);
  void *data = ::mmap(nullptr, bytes, protection, MAP_PRIVATE, descriptor, off_t(offset));
  if (data == MAP_FAILED)
    return map_error("mapping a file", bytes);
#ifdef MADV_HUGEPAGE
  // What is not in the page cache yet is then read into huge pages, where the file system can.
  if (access == FileAccess::kRead)
    (void)::madvise(data, bytes, MADV_HUGEPAGE);
#endif
  return Mapping(data, bytes);
}

Result<Mapping> map_memory(size_t bytes, [[maybe_unused]] bool huge_pages) {
  if (bytes == 0)
    return Mapping();
  // NORESERVE: pools are sized by what may be used, and pages are only taken when touched.
  int flags = MAP_PRIVATE | MAP_ANONYMOUS;
#ifdef MAP_NORESERVE
  flags |= MAP_NORESERVE;
#endif
  void *data = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, flags, -1, 0);
  if (data == MAP_FAILED)
    return map_error("taking memory", bytes);
#ifdef MADV_HUGEPAGE
  if (huge_pages)
    (void)::madvise(data, bytes, MADV_HUGEPAGE);
#endif
  return Mapping(data, bytes);
}

Result<Mapping> map_code(std::span<const std::byte> code) {
  Result<Mapping> mapping = map_memory(code.size(), false);
  if (!mapping || code.empty())
    return mapping;
  std::memcpy(mapping->data(), code.data(), code.size());
  char *begin = reinterpret_cast<char *>(mapping->data());
  __builtin___clear_cache(begin, begin + code.size());
  if (::mprotect(mapping->data(), mapping->bytes(), PROT_READ | PROT_EXEC) != 0)
    return map_error("making code executable", code.size());
  return mapping;
}

Result<GuardedMemory> GuardedMemory::create(size_t bytes, bool at_start) {
  size_t page = page_size();
  size_t body = (bytes + page - 1) / page * page;
  Result<Mapping> whole = map_memory(body + 2 * page, false);
  if (!whole)
    return whole.status();
  std::byte *start = whole->data();
  if (::mprotect(start, page, PROT_NONE) != 0 || ::mprotect(start + page + body, page, PROT_NONE) != 0)
    return map_error("protecting a guard page", page);
  GuardedMemory memory;
  memory.data_ = at_start ? start + page : start + page + body - bytes;
  memory.bytes_ = bytes;
  memory.whole_ = *std::move(whole);
  return memory;
}

namespace {
void advise(std::span<const std::byte> mapped, int advice) {
  // madvise wants whole pages: the range is widened to them.
  uintptr_t mask = uintptr_t(page_size()) - 1;
  uintptr_t begin = reinterpret_cast<uintptr_t>(mapped.data()) & ~mask;
  uintptr_t end = reinterpret_cast<uintptr_t>(mapped.data()) + mapped.size();
  if (end > begin)
    (void)::madvise(reinterpret_cast<void *>(begin), end - begin, advice);
}
} // namespace

void advise_sequential(std::span<const std::byte> mapped) { advise(mapped, MADV_SEQUENTIAL); }
void advise_needed(std::span<const std::byte> mapped) { advise(mapped, MADV_WILLNEED); }

size_t page_size() {
  long size = ::sysconf(_SC_PAGESIZE);
  return size > 0 ? size_t(size) : 65536;
}

uint64_t available_memory() {
  uint64_t available = kilobytes_line(read_pseudo_file("/proc/meminfo"), "MemAvailable");
#ifdef __linux__
  struct sysinfo info;
  if (available == 0 && ::sysinfo(&info) == 0)
    available = (uint64_t(info.freeram) + info.bufferram) * info.mem_unit;
#endif
  if (available == 0) {
    long pages = ::sysconf(_SC_PHYS_PAGES);
    available = pages > 0 ? uint64_t(pages) * page_size() / 2 : 0;
  }
  return std::min(available, cgroup_memory_left());
}

uint64_t total_memory() {
  long pages = ::sysconf(_SC_PHYS_PAGES);
  uint64_t total = pages > 0 ? uint64_t(pages) * page_size() : 0, limit = 0;
  if (parse_integer(trim(read_pseudo_file("/sys/fs/cgroup/memory.max")), limit))
    total = total == 0 ? limit : std::min(total, limit);
  return total;
}

uint64_t peak_rss_bytes() {
  struct rusage usage;
  if (::getrusage(RUSAGE_SELF, &usage) != 0)
    return 0;
#ifdef __APPLE__
  return uint64_t(usage.ru_maxrss);
#else
  return uint64_t(usage.ru_maxrss) * 1024;
#endif
}

uint64_t current_rss_bytes() {
  uint64_t resident = kilobytes_line(read_pseudo_file("/proc/self/status"), "VmRSS");
  return resident ? resident : peak_rss_bytes();
}

uint64_t virtual_bytes() {
  return kilobytes_line(read_pseudo_file("/proc/self/status"), "VmSize");
}

int64_t open_files() {
  DIR *folder = ::opendir("/proc/self/fd");
  if (!folder)
    return -1;
  int64_t count = -1; // the folder itself is open too
  while (const dirent *entry = ::readdir(folder))
    count += entry->d_name[0] != '.';
  ::closedir(folder);
  return count;
}

int64_t open_files_limit() {
  rlimit limit;
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur > rlim_t(INT64_MAX))
    return -1;
  return int64_t(limit.rlim_cur);
}

void raise_open_files_limit() {
  rlimit limit;
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0)
    return;
  limit.rlim_cur = limit.rlim_max;
  (void)::setrlimit(RLIMIT_NOFILE, &limit); // refused: it stays as it was
}

void return_large_blocks() {
#ifdef __GLIBC__
  mallopt(M_MMAP_THRESHOLD, 1 << 20); // else glibc raises it with each large block that is freed, up to 32 MiB
#endif
}

uint64_t data_bytes() {
  return kilobytes_line(read_pseudo_file("/proc/self/status"), "VmData");
}

} // namespace llmrt::os
