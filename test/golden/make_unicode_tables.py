#!/usr/bin/env python3
"""Writes compiler/import/tokenizer/UnicodeTables.inc: character properties as the Python `tokenizers` library sees them.

They are measured through the library itself, so that a tokenizer compiled here splits text where the library does,
whatever version of Unicode each of its parts follows. Usage: make_unicode_tables.py OUTPUT
"""
import base64
import json
import struct
import sys

import tokenizers
from tokenizers import Regex, normalizers, pre_tokenizers

ALL = [c for c in range(0x110000) if not 0xD800 <= c <= 0xDFFF]
TEXT = "".join(map(chr, ALL))
CATEGORIES = (
    "Cn Cc Cf Co Cs Ll Lm Lo Lt Lu Mc Me Mn Nd Nl No Pc Pd Pe Pf Pi Po Ps Sc Sk Sm So Zl Zp Zs".split()
)
SCRIPTS = (
    "Arabic Armenian Bengali Bopomofo Cyrillic Devanagari Ethiopic Georgian Greek Gujarati Gurmukhi Han Hangul Hebrew "
    "Hiragana Inherited Common Kannada Katakana Khmer Lao Latin Malayalam Mongolian Myanmar Oriya Sinhala Syriac Tamil "
    "Telugu Thaana Thai Tibetan Yi"
).split()


def matched(pattern):
    kept = set(normalizers.Replace(Regex(pattern), "").normalize_str(TEXT))
    return {c for c in ALL if chr(c) not in kept}


def split_off(pre_tokenizer):
    return {c for c in ALL if len(pre_tokenizer.pre_tokenize_str("a" + chr(c) + "a")) > 1}


def removed(normalizer):
    return {c for c in ALL if normalizer.normalize_str("a" + chr(c)) == "a"}


def grapheme_extending():
    """Characters that stay in one grapheme with an "a" before them. The library's SentencePiece character maps work on
    graphemes of less than six bytes: one that maps "a" to "X" takes the whole grapheme."""
    units = [0] * 512  # a double array with the one key "a"
    units[0] = 256 << 10
    units[256 ^ 0x61] = 0x61 | 1 << 8 | ((0x161 ^ 0x162) << 10)
    charsmap = struct.pack("<I", 4 * len(units)) + struct.pack(f"<{len(units)}I", *units) + b"X\0"
    text = base64.b64encode(charsmap).decode()
    tokenizer = {"version": "1.0", "normalizer": {"type": "Precompiled", "precompiled_charsmap": text}}
    tokenizer["model"] = {"type": "BPE", "vocab": {}, "merges": []}
    normalizer = tokenizers.Tokenizer.from_str(json.dumps(tokenizer)).normalizer
    assert normalizer.normalize_str("ba") == "bX"
    return {c for c in ALL if normalizer.normalize_str("a" + chr(c)) == "X"}


def ranges(points):
    out = []
    for c in sorted(points):
        if out and c == out[-1][1] + 1:
            out[-1][1] = c
        else:
            out.append([c, c])
    return out


def write_rows(out, rows):
    line = " "
    for row in rows:
        if len(line) + len(row) + 1 > 118:
            out.write(line + "\n")
            line = " "
        line += " " + row
    out.write(line + "\n")


def write_ranges(out, name, points):
    out.write(f"\nconstexpr CharRange {name}[] = {{\n")
    write_rows(out, [f"{{0x{a:x},0x{b:x}}}," for a, b in ranges(points)])
    out.write("};\n")


def main():
    category = {}
    for name in CATEGORIES:
        if name != "Cs":
            for c in matched(r"\p{%s}" % name):
                category[c] = name

    def of(*prefixes):
        return {c for c in ALL if category[c].startswith(prefixes)}

    space = matched(r"\s")
    alphabetic = matched(r"\p{Alphabetic}")
    base_word = alphabetic | of("M", "Nd", "Pc")
    # What the tables leave out because it can be said in terms of the others; checked here.
    assert matched(r"\w") == base_word | {0xB2, 0xB3, 0xB9, 0xBC, 0xBD, 0xBE}
    whitespace = pre_tokenizers.Whitespace()
    word = {c for c in ALL if len(whitespace.pre_tokenize_str("a" + chr(c) + "a")) == 1}
    assert word == base_word | {0x200C, 0x200D}
    assert split_off(pre_tokenizers.WhitespaceSplit()) == space
    assert space == of("Z") | {9, 10, 11, 12, 13, 0x85}
    assert matched("[[:punct:]]") == of("P", "S")

    bert = dict(handle_chinese_chars=False, lowercase=False)
    clean = normalizers.BertNormalizer(clean_text=True, strip_accents=False, **bert)
    accents = normalizers.BertNormalizer(clean_text=False, strip_accents=True, **bert)
    lower = normalizers.Lowercase()
    with open(sys.argv[1], "w") as out:
        out.write(
            "// Made by test/golden/make_unicode_tables.py with the tokenizers library "
            f"{tokenizers.__version__}; do not edit.\n"
        )
        out.write("\nconstexpr const char *categoryNames[] = {\n")
        write_rows(out, [f'"{n}",' for n in CATEGORIES])
        out.write("};\n\n// Runs of one category: {first, index into categoryNames}; up to the next run's first.\n")
        out.write("constexpr CategoryRun categoryRuns[] = {\n")
        rows, last = [], None
        for c in range(0x110000):
            index = CATEGORIES.index(category.get(c, "Cs"))
            if index != last:
                rows.append(f"{{0x{c:x},{index}}},")
            last = index
        write_rows(out, rows)
        out.write("};\n")
        write_ranges(out, "otherAlphabetic", alphabetic - of("L", "Nl"))
        write_ranges(out, "rustNumericRanges", split_off(pre_tokenizers.Digits(True)))
        write_ranges(out, "punctuationRanges", split_off(pre_tokenizers.Punctuation()))
        # The library asks for BERT's control characters before white space is replaced.
        write_ranges(out, "bertRemovedRanges", removed(clean))
        write_ranges(out, "bertNonspacingRanges", removed(accents))
        write_ranges(out, "combiningMarkRanges", removed(normalizers.StripAccents()))
        write_ranges(out, "graphemeExtendingRanges", grapheme_extending())
        out.write("\n// Lower case where it differs: {character, first, second or 0}.\n")
        out.write("constexpr LowercaseRow lowercaseRows[] = {\n")
        rows = []
        for c in ALL:
            mapped = lower.normalize_str(chr(c))
            if mapped != chr(c):
                points = [ord(x) for x in mapped] + [0]
                assert len(points) <= 3
                rows.append(f"{{0x{c:x},0x{points[0]:x},0x{(points + [0])[1]:x}}},")
        write_rows(out, rows)
        out.write("};\n\n// Scripts: names, then {first, last, index into scriptNames}.\n")
        out.write("constexpr const char *scriptNames[] = {\n")
        write_rows(out, [f'"{n}",' for n in SCRIPTS])
        out.write("};\n\nconstexpr ScriptRange scriptRanges[] = {\n")
        write_rows(
            out,
            [
                f"{{0x{a:x},0x{b:x},{i}}},"
                for i, name in enumerate(SCRIPTS)
                for a, b in ranges(matched(r"\p{%s}" % name))
            ],
        )
        out.write("};\n")


main()
