// Jinja's filters, by what they work on; filters.cpp has the table.
#pragma once

#include "runtime/text/template/interpreter.h"

namespace llmrt::chat {

using Filter = Value (*)(Interpreter &, Call &);

// filters_text.cpp
Value filter_capitalize(Interpreter &, Call &);
Value filter_center(Interpreter &, Call &);
Value filter_escape(Interpreter &, Call &);
Value filter_format(Interpreter &, Call &);
Value filter_indent(Interpreter &, Call &);
Value filter_lower(Interpreter &, Call &);
Value filter_replace(Interpreter &, Call &);
Value filter_safe(Interpreter &, Call &);
Value filter_string(Interpreter &, Call &);
Value filter_title(Interpreter &, Call &);
Value filter_tojson(Interpreter &, Call &);
Value filter_trim(Interpreter &, Call &);
Value filter_truncate(Interpreter &, Call &);
Value filter_upper(Interpreter &, Call &);
Value filter_wordcount(Interpreter &, Call &);
// filters_rows.cpp
Value filter_batch(Interpreter &, Call &);
Value filter_dictsort(Interpreter &, Call &);
Value filter_first(Interpreter &, Call &);
Value filter_items(Interpreter &, Call &);
Value filter_join(Interpreter &, Call &);
Value filter_last(Interpreter &, Call &);
Value filter_length(Interpreter &, Call &);
Value filter_list(Interpreter &, Call &);
Value filter_map(Interpreter &, Call &);
Value filter_max(Interpreter &, Call &);
Value filter_min(Interpreter &, Call &);
Value filter_reject(Interpreter &, Call &);
Value filter_rejectattr(Interpreter &, Call &);
Value filter_reverse(Interpreter &, Call &);
Value filter_select(Interpreter &, Call &);
Value filter_selectattr(Interpreter &, Call &);
Value filter_slice(Interpreter &, Call &);
Value filter_sort(Interpreter &, Call &);
Value filter_sum(Interpreter &, Call &);
Value filter_unique(Interpreter &, Call &);

// "a.b.0" of a value, as filters take attributes; `attribute` may be an integer.
Value get_path(const Value &value, const Value &attribute);

// take() for filters, whose own operand is the first positional argument.
inline Value option(Call &call, size_t place, std::string_view name, Value otherwise) {
  return call.has(place + 1, name) ? call.take(place + 1, name) : otherwise;
}
int64_t integer_option(Call &call, size_t place, std::string_view name, int64_t otherwise);

} // namespace llmrt::chat
