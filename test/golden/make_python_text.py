#!/usr/bin/env python3
"""Writes runtime/text/template/python_text_tables.inc: what Python's str methods know of characters, for chat templates.

Usage: make_python_text.py OUTPUT
"""
import sys
import unicodedata

ALL = [c for c in range(0x110000) if not 0xD800 <= c <= 0xDFFF]


def rows(out, items):
    line = " "
    for item in items:
        if len(line) + len(item) + 1 > 118:
            out.write(line + "\n")
            line = " "
        line += " " + item
    out.write(line + "\n};\n")


def case_runs(mapping):
    """Single-character mappings as {first, last, stride, delta}."""
    runs = []
    for c, to in sorted(mapping.items()):
        delta = to - c
        last = runs[-1] if runs else None
        if last and last[3] == delta and c - last[1] in (1, 2) and (last[0] == last[1] or last[2] == c - last[1]):
            last[2] = c - last[1]
            last[1] = c
        else:
            runs.append([c, c, 1, delta])
    return runs


def write_case(out, name, function):
    single, multiple = {}, {}
    for c in ALL:
        mapped = function(chr(c))
        if mapped == chr(c):
            continue
        if len(mapped) == 1:
            single[c] = ord(mapped)
        else:
            multiple[c] = [ord(x) for x in mapped] + [0] * (3 - len(mapped))
    out.write(f"\nconstexpr CaseRun {name}Runs[] = {{\n")
    rows(out, [f"{{0x{a:x},0x{b:x},{s},{d}}}," for a, b, s, d in case_runs(single)])
    out.write(f"\nconstexpr CaseRow {name}Rows[] = {{\n")
    rows(out, ["{0x%x,{0x%x,0x%x,0x%x}}," % (c, *v) for c, v in sorted(multiple.items())])


def write_ranges(out, name, points):
    ranges = []
    for c in points:
        if ranges and ranges[-1][1] == c - 1:
            ranges[-1][1] = c
        else:
            ranges.append([c, c])
    out.write(f"\nconstexpr PointRange {name}[] = {{\n")
    rows(out, [f"{{0x{a:x},0x{b:x}}}," for a, b in ranges])


def main():
    with open(sys.argv[1], "w") as out:
        out.write(
            "// Made by test/golden/make_python_text.py with Python "
            f"{sys.version.split()[0]}, Unicode {unicodedata.unidata_version}; do not edit.\n"
        )
        # One character alone: Python's lower() treats a final sigma apart.
        write_case(out, "kLower", str.lower)
        write_case(out, "kUpper", str.upper)
        # Title case where it is not upper case.
        write_case(out, "kTitle", lambda c: c.title() if c.title() != c.upper() else c)
        write_ranges(out, "kUnprintable", [c for c in range(0x110000) if not chr(c).isprintable()])
        write_ranges(out, "kSpace", [c for c in ALL if chr(c).isspace()])
        write_ranges(out, "kAlphabetic", [c for c in ALL if chr(c).isalpha()])
        write_ranges(out, "kDigit", [c for c in ALL if chr(c).isdigit()])


main()
