#include "runtime/text/normal/normalizer.h"

#include "runtime/text/normal/byte_chars.h"
#include "runtime/text/normal/bytes.h"
#include "runtime/text/normal/normal_forms.h"
#include "runtime/text/normal/pattern.h"
#include "runtime/text/normal/precompiled.h"
#include "runtime/text/normal/utf8.h"

namespace llmrt {

using schema::NormalizerOp;
using schema::NormalizerStep;

std::string bytes_to_chars(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size() + bytes.size() / 4);
  for (char c : bytes) utf8_append(out, kByteChars.point_of[static_cast<unsigned char>(c)]);
  return out;
}

std::string replace_all(std::string_view text, std::string_view what, std::string_view with) {
  std::string out;
  out.reserve(text.size());
  size_t from = 0;
  while (true) {
    const size_t at = text.find(what, from);
    if (at == std::string_view::npos) break;
    out.append(text, from, at - from).append(with);
    from = at + what.size();
  }
  return out.append(text, from);
}

namespace {

std::string map_chars(const schema::CharMap &map, std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size();) {
    const Utf8Char c = utf8_first(text.substr(i));
    if (const schema::CharMapping *row = find_mapping(map, c.point)) {
      utf8_append(out, row->first());
      if (row->second()) utf8_append(out, row->second());
    } else {
      out.append(text, i, c.length);
    }
    i += c.length;
  }
  return out;
}

// Remove, MapClass and Surround: what becomes of each character of the class.
std::string edit_class(const NormalizerStep &step, const CharClasses &classes, std::string_view text) {
  const std::string_view content = bytes_of(step.content());
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size();) {
    const Utf8Char c = utf8_first(text.substr(i));
    if (!classes.contains(step.a(), c.point)) {
      out.append(text, i, c.length);
    } else if (step.op() != NormalizerOp::Remove) {
      out.append(content);
      if (step.op() == NormalizerOp::Surround) out.append(text, i, c.length).append(content);
    }
    i += c.length;
  }
  return out;
}

Result<std::string> replace_pattern(const schema::Tokenizer &tables, const CharClasses &classes,
                                    const NormalizerStep &step, std::string_view text) {
  PatternMatcher matcher(*tables.patterns()->Get(step.a()), classes);
  std::vector<Span> matches;
  if (Status s = matcher.find_all(text, matches); !s.ok()) return s;
  std::string out;
  size_t from = 0;
  for (const Span &m : matches) {
    out.append(text, from, m.begin - from).append(bytes_of(step.content()));
    from = m.end;
  }
  return out.append(text, from);
}

std::string_view strip(const CharClasses &classes, uint32_t space, uint32_t sides, std::string_view text) {
  while ((sides & 1) && !text.empty()) {
    const Utf8Char c = utf8_first(text);
    if (!classes.contains(space, c.point)) break;
    text.remove_prefix(c.length);
  }
  while ((sides & 2) && !text.empty()) {
    const size_t last = utf8_previous(text, text.size());
    if (!classes.contains(space, utf8_first(text.substr(last)).point)) break;
    text.remove_suffix(text.size() - last);
  }
  return text;
}

Result<std::string> apply(const schema::Tokenizer &tables, const CharClasses &classes, const NormalizerStep &step,
                          std::string_view text) {
  switch (step.op()) {
  case NormalizerOp::Nfc: return to_normal_form(*tables.normal_forms(), NormalForm::Nfc, text);
  case NormalizerOp::Nfd: return to_normal_form(*tables.normal_forms(), NormalForm::Nfd, text);
  case NormalizerOp::Nfkc: return to_normal_form(*tables.normal_forms(), NormalForm::Nfkc, text);
  case NormalizerOp::Nfkd: return to_normal_form(*tables.normal_forms(), NormalForm::Nfkd, text);
  case NormalizerOp::Map: return map_chars(*tables.maps()->Get(step.a()), text);
  case NormalizerOp::Remove:
  case NormalizerOp::MapClass:
  case NormalizerOp::Surround: return edit_class(step, classes, text);
  case NormalizerOp::ReplaceText: return replace_all(text, bytes_of(step.text()), bytes_of(step.content()));
  case NormalizerOp::ReplacePattern: return replace_pattern(tables, classes, step, text);
  case NormalizerOp::Prepend: return std::string(text.empty() ? "" : bytes_of(step.content())).append(text);
  case NormalizerOp::Strip: return std::string(strip(classes, step.a(), step.b(), text));
  case NormalizerOp::ByteLevel: return bytes_to_chars(text);
  case NormalizerOp::Precompiled: return apply_char_map(step, classes, text);
  }
  return Status(StatusCode::kCorrupt, "the tokenizer has an unknown normalizer step; compile the model again");
}

bool drops_start(const NormalizerStep &step, const CharClasses &classes, std::string_view text) {
  if (text.empty()) return false;
  const bool strips = step.op() == NormalizerOp::Strip && (step.b() & 1);
  return (strips || step.op() == NormalizerOp::Remove) && classes.contains(step.a(), utf8_first(text).point);
}

} // namespace

Result<NormalizedText> normalize(const schema::Tokenizer &tables, const CharClasses &classes, std::string_view text) {
  NormalizedText out{std::string(text), true};
  if (!tables.normalizer()) return out;
  for (const NormalizerStep *step : *tables.normalizer()) {
    if (drops_start(*step, classes, out.text)) out.keeps_start = false;
    Result<std::string> next = apply(tables, classes, *step, out.text);
    if (!next.ok()) return next.status();
    out.text = *std::move(next);
  }
  return out;
}

} // namespace llmrt
