#!/usr/bin/env python3
"""Writes compiler/import/tokenizer/NormalFormTables.inc: Unicode's normal forms as the `tokenizers` library has them.

Decompositions and compositions are measured through the library; combining classes are Python's, for the characters that
the library is seen to reorder. Usage: make_normal_forms.py OUTPUT
"""
import sys
import unicodedata

import tokenizers
from tokenizers import normalizers

NFC, NFD, NFKD = normalizers.NFC(), normalizers.NFD(), normalizers.NFKD()
ALL = [c for c in range(0x110000) if not 0xD800 <= c <= 0xDFFF and not 0xAC00 <= c <= 0xD7A3]


def decompositions(form):
    out = {}
    for c in ALL:
        text = form.normalize_str(chr(c))
        if text != chr(c):
            out[c] = [ord(x) for x in text]
    return out


def is_reordered(c, combining):
    """Whether the library treats c as a mark of that class: it changes places with a mark of another one."""
    if combining < 230:
        return NFD.normalize_str("a\u0301" + chr(c)) == "a" + chr(c) + "\u0301"
    return NFD.normalize_str("a" + chr(c) + "\u0323") == "a\u0323" + chr(c)


def compositions(canonical):
    out = {}
    for c in canonical:
        parts = unicodedata.decomposition(chr(c)).split()
        if len(parts) == 2:
            first, second = (int(x, 16) for x in parts)
            if NFC.normalize_str(chr(first) + chr(second)) == chr(c):
                out[first, second] = c
    return out


def write_rows(out, rows):
    line = " "
    for row in rows:
        if len(line) + len(row) + 1 > 118:
            out.write(line + "\n")
            line = " "
        line += " " + row
    out.write(line + "\n};\n")


def main():
    canonical = decompositions(NFD)
    compatibility = {c: v for c, v in decompositions(NFKD).items()}
    points, places = [], {}

    def place(values):
        key = tuple(values)
        if key not in places:
            places[key] = len(points)
            points.extend(values)
        return places[key]

    with open(sys.argv[1], "w") as out:
        out.write(
            "// Made by test/golden/make_normal_forms.py with the tokenizers library "
            f"{tokenizers.__version__}; do not edit.\n"
        )
        for name, table in (("canonicalRows", canonical), ("compatibilityRows", compatibility)):
            out.write(f"\n// {{character, first of its points, how many}}\nconstexpr DecompositionRow {name}[] = {{\n")
            write_rows(out, [f"{{0x{c:x},{place(v)},{len(v)}}}," for c, v in sorted(table.items())])
        out.write("\nconstexpr uint32_t decompositionPoints[] = {\n")
        write_rows(out, [f"0x{p:x}," for p in points])
        runs = []
        for c in ALL:
            combining = unicodedata.combining(chr(c))
            if combining and is_reordered(c, combining):
                if runs and runs[-1][1] == c - 1 and runs[-1][2] == combining:
                    runs[-1][1] = c
                else:
                    runs.append([c, c, combining])
        out.write("\n// {first, last, canonical combining class}\nconstexpr CombiningRow combiningRows[] = {\n")
        write_rows(out, [f"{{0x{a:x},0x{b:x},{n}}}," for a, b, n in runs])
        out.write("\nconstexpr CompositionRow compositionRows[] = {\n")
        pairs = sorted(compositions(canonical).items())
        write_rows(out, [f"{{0x{a:x},0x{b:x},0x{c:x}}}," for (a, b), c in pairs])


main()
