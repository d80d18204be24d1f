// Rules by name while a grammar is read: used before they are defined, defined once.
#pragma once

#include "runtime/text/grammar/grammar.h"

#include <map>
#include <string>
#include <string_view>

namespace llmrt::grammar {

class RuleNames {
public:
  explicit RuleNames(Grammar &grammar) : grammar_(grammar) {}
  RuleId operator[](std::string_view name) {
    const auto found = ids_.find(name);
    if (found != ids_.end()) return found->second;
    return ids_.emplace(std::string(name), grammar_.add_rule(std::string(name))).first->second;
  }
  bool knows(std::string_view name) const { return ids_.find(name) != ids_.end(); }

private:
  Grammar &grammar_;
  std::map<std::string, RuleId, std::less<>> ids_;
};

// "line 3, column 7" of a byte.
std::string line_and_column(std::string_view text, size_t position);

} // namespace llmrt::grammar
