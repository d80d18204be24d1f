#!/usr/bin/env python3
"""Regular expressions against the `tokenizers` library: make_regexes.py OUTPUT.jsonl COUNT

Each line has a pattern, texts, and the texts with every match replaced by '#', as the library's Replace does it: COUNT
random patterns, and a fixed list. Patterns that Oniguruma refuses are left out.
"""
import json
import random
import sys

import tokenizers
from tokenizers import Regex, normalizers

FIXED = r"""a{1,3}+b|a{1,3}+a|a++a|a{,2}|^a|a$|a\Z|a\z|\Aa|x*|a*?|a+?b|(?:a|ab)(?:c|bcd)|(?>a|ab)c|[^\n]|(?m:.)|.|\h+|[a-z&&[^b]]+|[\p{L}&&[^\p{Han}]]+
\u0041|\x41|\x{1F600}|(?<!a)b|(?<=a|bc)d|(?<!a|bc)d|\p{^L}+|\P{L}+|[[:alpha:]]+|[[:^alpha:]]+|[[:punct:]]|\N|\O|a(?#c)b|(?x: a b # c
)|\d+|\e|\v|[\v]|a{2}{3}|{|a{|a{,|]|[]a]|(?i)a|B|a(?i)b|c|(?i:[k])|(?i:[^k])|(?i:straße)|(?i:Σ)|\s+$|\s+(?!\S)|\s+(?=\s)|()*|\b\w|\w\b|\B.|(?=a)|(?!a)|$|^|\w+(?=\d)|(?<=\s)\w+|(?<name>ab)+|[\w\s&&[^\d]]+|[a\-z]|[a-]|[-a]|[\]]|[\\]|[\p{Lu}\p{Nd}]|[^\p{L}\p{N}]|\p{Letter}|\p{Uppercase_Letter}|\p{upper}|\p{Alpha}+|\p{Greek}+|\p{Cyrillic}|\S+|\W+|\D+|\H""".replace("\n", "|")

TEXTS = [
    "", "a", "ab", "aab", "abc bcd abcd", "a1 b2\nc3 d", "  a  b\t\n\n c ", "Straße STRASSE straße", "ΑΒΓ αβγ Σσς", "你好 ABC 123", "K k K ſs",
    "a\nb\r\nc\n", "A😀B\x1b\x0b", "aaa bbb ccc", "foo_bar-baz.qux", "\u00a0x\u2003y\u0085z", "{a} [b] (c) a{,",
]


def random_pattern(generator, depth=0):
    def atom():
        choice = generator.randrange(16 if depth < 3 else 10)
        if choice < 4:
            return generator.choice("abc1 ")
        if choice < 8:
            return generator.choice([r"\w", r"\s", r"\d", r"\p{L}", "[ab]", "[^a]", "[a-c1]", ".", r"\S", r"[^\s]", r"\p{Lu}", "[^\\n]"])
        if choice == 8:
            return generator.choice([r"\b", "^", "$", r"\A", r"\z", r"\B", r"\Z"])
        if choice == 9:
            return generator.choice(["(?i:b)", "(?i:[a-b])", "(?i:C)"])
        inner = random_pattern(generator, depth + 1)
        if choice == 10:
            return "(?=" + inner + ")"
        if choice == 11:
            return "(?!" + inner + ")"
        if choice == 12:
            return "(?<" + generator.choice("=!") + generator.choice(["a", "ab", r"\s", "[ab]c", "a|bc", r"\w\w"]) + ")"
        if choice == 13:
            return "(?>" + inner + ")"
        return "(?:" + inner + ")"

    out = ""
    for index in range(generator.randint(1, 4)):
        if index and generator.random() < 0.2:
            out += "|"
        item = atom()
        simple = not item.startswith(("(?=", "(?!", "(?<")) and item not in (r"\b", "^", "$", r"\A", r"\z", r"\B", r"\Z")
        if simple and generator.random() < 0.5:
            item += generator.choice(["*", "+", "?", "*?", "+?", "??", "*+", "++", "?+", "{2}", "{1,2}", "{2,}", "{,2}", "{1,2}?"])
        out += item
    return out


def main():
    generator = random.Random(7)
    patterns = [p for p in FIXED.split("|")] + [r"'s|'t|'re|a|ab|abc", "a|b|", "(?:a|b|ab)+c", "(a+)+b", r"(?:\p{L}\p{M}*)+"]
    patterns += [random_pattern(generator) for _ in range(int(sys.argv[2]))]
    with open(sys.argv[1], "w") as out:
        out.write(json.dumps({"made_by": "tokenizers " + tokenizers.__version__}) + "\n")
        for pattern in patterns:
            texts = TEXTS + ["".join(generator.choice("aabbcc1 A\n") for _ in range(generator.randint(1, 14))) for _ in range(6)]
            try:
                normalizer = normalizers.Replace(Regex(pattern), "#")
                expected = [normalizer.normalize_str(text) for text in texts]
            except BaseException as error:  # refused, or given up half way
                if isinstance(error, KeyboardInterrupt):
                    raise
                continue
            out.write(json.dumps({"pattern": pattern, "texts": texts, "expected": expected}, ensure_ascii=False, separators=(",", ":")) + "\n")


main()
