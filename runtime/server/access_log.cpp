#include "runtime/server/access_log.h"

#include "runtime/server/json.h"

#include <ctime>

namespace llmrt::server {

AccessLog::AccessLog(const std::string &path) {
  if (path.empty())
    return;
  file_ = path == "-" ? stderr : fopen(path.c_str(), "a");
  failed_ = file_ == nullptr;
}

AccessLog::~AccessLog() {
  if (file_ && file_ != stderr)
    fclose(file_);
}

void AccessLog::add(const AccessRecord &record) {
  char when[32];
  std::time_t now = std::time(nullptr);
  std::tm broken{};
  gmtime_r(&now, &broken);
  strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &broken);
  Json line{{"time", when},
            {"method", record.method},
            {"path", record.path},
            {"status", record.status},
            {"seconds", record.seconds},
            {"bytes", record.bytes},
            {"request_id", record.request_id}};
  std::string text = dump_json(line) + "\n";
  std::lock_guard lock(mutex_);
  fwrite(text.data(), 1, text.size(), file_);
  fflush(file_);
}

} // namespace llmrt::server
