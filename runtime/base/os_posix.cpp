// Files, threads, time and the terminal; memory is in os_memory_posix.cpp.
#include "runtime/base/os.h"
#include "runtime/base/text.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <limits.h>

#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>
#ifdef __linux__
#include <linux/futex.h>
#include <sched.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#endif

namespace llmrt::os {

namespace {

Status file_error(StatusCode code, const std::string &path, const char *what) {
  std::string message = path + ": " + what;
  if (errno != 0)
    message += std::string(": ") + std::strerror(errno);
  return Status(code, std::move(message));
}

// Writes everything or fails; offset < 0 appends.
bool write_all(int descriptor, std::span<const std::byte> bytes, int64_t offset) {
  // Linux writes at most 2 GB a call.
  constexpr size_t kPiece = size_t(1) << 30;
  while (!bytes.empty()) {
    size_t piece = std::min(bytes.size(), kPiece);
    ssize_t done = offset < 0 ? ::write(descriptor, bytes.data(), piece)
                              : ::pwrite(descriptor, bytes.data(), piece, off_t(offset));
    if (done < 0 && errno == EINTR)
      continue;
    if (done <= 0)
      return false;
    bytes = bytes.subspan(size_t(done));
    if (offset >= 0)
      offset += done;
  }
  return true;
}

std::string parent_folder(const std::string &path) {
  size_t slash = path.rfind('/');
  if (slash == std::string::npos)
    return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

} // namespace

File::~File() {
  if (descriptor_ >= 0)
    ::close(descriptor_);
}

Result<File> open_read(const std::string &path) {
  errno = 0;
  int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0)
    return file_error(errno == ENOENT ? StatusCode::kNotFound : StatusCode::kInvalidArgument, path, "cannot open");
  return File(descriptor);
}

Result<uint64_t> file_bytes(const File &file) {
  struct stat info;
  if (::fstat(file.descriptor(), &info) != 0 || !S_ISREG(info.st_mode))
    return Status(StatusCode::kInvalidArgument, "not a regular file");
  return uint64_t(info.st_size);
}

Result<std::string> read_file(const std::string &path, uint64_t limit) {
  Result<File> file = open_read(path);
  if (!file)
    return file.status();
  Result<uint64_t> bytes = file_bytes(*file);
  if (!bytes)
    return Status(StatusCode::kInvalidArgument, path + ": " + bytes.status().message());
  if (*bytes > limit)
    return Status(StatusCode::kInvalidArgument, path + ": has " + std::to_string(*bytes) + " bytes, at most " +
                                                    std::to_string(limit) + " are read");
  std::string text(size_t(*bytes), '\0');
  size_t at = 0;
  while (at < text.size()) {
    ssize_t got = ::read(file->descriptor(), text.data() + at, text.size() - at);
    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0)
      return file_error(StatusCode::kInvalidArgument, path, "cannot read");
    if (got == 0)
      break;
    at += size_t(got);
  }
  text.resize(at);
  return text;
}

Status make_directory(const std::string &path, unsigned mode) {
  errno = 0;
  if (::mkdir(path.c_str(), mode_t(mode)) == 0)
    return ok_status();
  struct stat info;
  if (errno == EEXIST && ::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode))
    return ok_status();
  return file_error(StatusCode::kInvalidArgument, path, "cannot make the folder");
}

Result<std::vector<std::string>> list_folder(const std::string &path) {
  errno = 0;
  DIR *folder = ::opendir(path.c_str());
  if (!folder)
    return file_error(errno == ENOENT ? StatusCode::kNotFound : StatusCode::kInvalidArgument, path,
                      "cannot read the folder");
  std::vector<std::string> names;
  while (const dirent *entry = ::readdir(folder))
    if (std::string_view name = entry->d_name; name != "." && name != "..")
      names.emplace_back(name);
  ::closedir(folder);
  std::sort(names.begin(), names.end());
  return names;
}

Result<std::string> real_path(const std::string &path) {
  errno = 0;
  char *resolved = ::realpath(path.c_str(), nullptr);
  if (!resolved)
    return file_error(StatusCode::kNotFound, path, "cannot find");
  std::string out = resolved;
  std::free(resolved);
  return out;
}

bool is_regular_file(const std::string &path) {
  struct stat info;
  return ::stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode);
}

AtomicFile::AtomicFile(File file, std::string path, std::string temporary)
    : file_(std::move(file)), path_(std::move(path)), temporary_(std::move(temporary)) {}

AtomicFile::AtomicFile(AtomicFile &&other) noexcept
    : file_(std::move(other.file_)), path_(std::move(other.path_)),
      temporary_(std::exchange(other.temporary_, std::string())), offset_(other.offset_) {}

AtomicFile::~AtomicFile() {
  if (!temporary_.empty())
    ::unlink(temporary_.c_str());
}

Status AtomicFile::error(const char *what) const { return file_error(StatusCode::kExhausted, path_, what); }

Result<AtomicFile> AtomicFile::create(const std::string &path,
                                      const std::function<void(const std::string &)> &announce) {
  for (int attempt = 0; attempt < 100; ++attempt) {
    std::string temporary = path + ".tmp" + std::to_string(::getpid()) + "-" + std::to_string(attempt);
    if (announce)
      announce(temporary);
    errno = 0;
    int descriptor = ::open(temporary.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (descriptor >= 0)
      return AtomicFile(File(descriptor), path, std::move(temporary));
    if (errno != EEXIST)
      break;
  }
  return file_error(StatusCode::kInvalidArgument, path, "cannot write here");
}

Status AtomicFile::write(std::span<const std::byte> bytes) {
  errno = 0;
  if (!write_all(file_.descriptor(), bytes, int64_t(offset_)))
    return error("cannot write");
  offset_ += bytes.size();
  return ok_status();
}

Status AtomicFile::write_at(uint64_t offset, std::span<const std::byte> bytes) {
  errno = 0;
  if (offset > uint64_t(INT64_MAX) - bytes.size() || !write_all(file_.descriptor(), bytes, int64_t(offset)))
    return error("cannot write");
  return ok_status();
}

Status AtomicFile::pad_to(uint64_t offset) {
  static constexpr std::byte kZeros[4096] = {};
  while (offset_ < offset) {
    size_t piece = size_t(std::min<uint64_t>(offset - offset_, sizeof kZeros));
    if (Status status = write({kZeros, piece}); !status.ok())
      return status;
  }
  return ok_status();
}

Status AtomicFile::commit() {
  errno = 0;
  if (::fsync(file_.descriptor()) != 0)
    return error("cannot flush to disk");
  if (::rename(temporary_.c_str(), path_.c_str()) != 0)
    return error("cannot rename the finished file to its name");
  temporary_.clear();
  // The name is on disk once its folder is; folders that cannot be opened for that are no reason to fail.
  if (File folder(::open(parent_folder(path_).c_str(), O_RDONLY | O_CLOEXEC)); folder.descriptor() >= 0)
    (void)::fsync(folder.descriptor());
  return ok_status();
}

struct Thread::State {
  pthread_t handle;
  std::function<void()> body;
};

Thread::Thread() = default;
Thread::Thread(Thread &&) noexcept = default;
Thread &Thread::operator=(Thread &&other) noexcept {
  std::swap(state_, other.state_);
  return *this;
}
Thread::~Thread() { join(); }

Result<Thread> Thread::start(size_t stack_bytes, std::function<void()> body) {
  pthread_attr_t attributes;
  if (pthread_attr_init(&attributes) != 0)
    return Status(StatusCode::kExhausted, "cannot start a thread: no memory");
  size_t floor = size_t(std::max<long>(::sysconf(_SC_THREAD_STACK_MIN), 16384));
  size_t page = page_size();
  size_t stack = (std::max(stack_bytes, floor) + page - 1) / page * page;
  Thread thread;
  thread.state_ = std::make_unique<State>();
  thread.state_->body = std::move(body);
  auto entry = [](void *state) -> void * {
    static_cast<State *>(state)->body();
    return nullptr;
  };
  int failed = pthread_attr_setstacksize(&attributes, stack);
  if (failed == 0)
    failed = pthread_create(&thread.state_->handle, &attributes, entry, thread.state_.get());
  pthread_attr_destroy(&attributes);
  if (failed != 0) {
    thread.state_.reset();
    return Status(StatusCode::kExhausted, std::string("cannot start a thread: ") + std::strerror(failed));
  }
  return thread;
}

void Thread::join() {
  if (!state_)
    return;
  pthread_join(state_->handle, nullptr);
  state_.reset();
}

#ifdef __linux__
// futex(2). The kernel reads the word itself, so it must be nothing but its value.
static_assert(sizeof(std::atomic<uint32_t>) == 4 && std::atomic<uint32_t>::is_always_lock_free);

void wait_on(std::atomic<uint32_t> &word, uint32_t expected) {
  ::syscall(SYS_futex, reinterpret_cast<uint32_t *>(&word), FUTEX_WAIT_PRIVATE, expected, nullptr, nullptr, 0);
}
void wake(std::atomic<uint32_t> &word, int count) {
  ::syscall(SYS_futex, reinterpret_cast<uint32_t *>(&word), FUTEX_WAKE_PRIVATE, count, nullptr, nullptr, 0);
}
#else
void wait_on(std::atomic<uint32_t> &word, uint32_t expected) { word.wait(expected); }
void wake(std::atomic<uint32_t> &word, int count) { count == 1 ? word.notify_one() : word.notify_all(); }
#endif

SharedLibrary::~SharedLibrary() {
  if (handle_) dlclose(handle_);
}

Result<SharedLibrary> SharedLibrary::open(const char *name) {
  void *handle = dlopen(name, RTLD_NOW | RTLD_LOCAL);
  if (!handle) {
    const char *reason = dlerror();
    return Status(StatusCode::kNotFound, reason ? reason : std::string(name) + " cannot be opened");
  }
  return SharedLibrary(handle);
}

void *SharedLibrary::symbol(const char *name) const { return handle_ ? dlsym(handle_, name) : nullptr; }

int usable_cpus() {
#ifdef __linux__
  // A machine may have more processors than a cpu_set_t holds.
  for (int limit = CPU_SETSIZE; limit <= 1 << 16; limit *= 4) {
    cpu_set_t *set = CPU_ALLOC(size_t(limit));
    if (!set)
      break;
    size_t bytes = CPU_ALLOC_SIZE(size_t(limit));
    int failed = ::sched_getaffinity(0, bytes, set);
    int count = failed ? 0 : CPU_COUNT_S(bytes, set);
    CPU_FREE(set);
    if (count > 0)
      return count;
    if (errno != EINVAL)
      break;
  }
#endif
  return int(std::max<long>(1, ::sysconf(_SC_NPROCESSORS_ONLN)));
}

uint64_t monotonic_ns() {
  timespec now;
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return uint64_t(now.tv_sec) * 1000000000u + uint64_t(now.tv_nsec);
}

bool allow_tile_registers() {
#if defined(__linux__) && defined(__x86_64__)
  constexpr long kRequestPermission = 0x1023, kTileData = 18; // Documentation/arch/x86/xstate.rst
  return ::syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  return false;
#endif
}

uint64_t cpu_hwcaps([[maybe_unused]] int word) {
#ifdef __linux__
  return ::getauxval(word == 0 ? AT_HWCAP : AT_HWCAP2);
#else
  return 0;
#endif
}

bool is_terminal(int descriptor) { return ::isatty(descriptor) == 1; }

std::string environment(const char *name) {
  const char *value = std::getenv(name);
  return value ? value : "";
}

} // namespace llmrt::os
