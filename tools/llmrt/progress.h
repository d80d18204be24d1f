// How far long work is: one line that changes on a terminal, a line now and then elsewhere.
#pragma once

#include <cstdint>
#include <string>

namespace llmrt::tool {

class Progress {
public:
  Progress(std::string what, double total, bool quiet);
  ~Progress(); // ends the line
  void show(double done, const std::string &note = {});

private:
  std::string what_;
  double total_;
  bool quiet_, terminal_, shown_ = false;
  uint64_t next_; // nanoseconds
};

} // namespace llmrt::tool
