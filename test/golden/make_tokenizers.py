#!/usr/bin/env python3
"""Golden vectors of the Python `tokenizers` library.

make_tokenizers.py OUTPUT NAME=tokenizer.json ... [--texts FILE ...]
    For each tokenizer OUTPUT/NAME.jsonl: a line with the file's path, then one line a text
    {"text", "ids", "plain" (ids without special tokens), "decoded", "shown" (with special tokens)}, then lines
    {"random", "decoded", "shown"} of random ids. A missing "plain" is the ids, a missing "decoded" the text, a missing
    "shown" what is decoded. --texts adds lines and paragraphs of other files.
make_tokenizers.py OUTPUT --small
    Trains one small tokenizer for each kind of pattern, normalizer and model, and writes it beside its vectors.
"""
import json
import os
import random
import sys

import tokenizers
from tokenizers import Tokenizer

CORPUS = [
    "", " ", "  ", "\n", "\t", "a", " a", "a ", "Hello", "Hello world", " Hello  world ", "Hello, y'all! How are you?",
    "I'm you're he'll they've I'd it's don't DON'T I'M YOU'RE 's 't 're", "'S 'T 'ſ 'll'LL",
    "line one\nline two\r\nline three\n\n\nlast\r\r\n", "\n\n \n  \n a\n b", "  leading and trailing  ",
    "tabs\t\tand\tspaces   mixed \t \n x", "a\u00a0b\u2003c\u3000d\u2028e\u2029f\u0085g\u1680h", "\u200b\u200c\u200d\ufeff",
    "0 1 12 123 1234 12345 123456 1234567 3.14159 -1e-10 1,234,567.89 0x1F", "²³¹¼½¾ ①②③ ⅠⅡⅢ ٠١٢٣ ०१२३ ๑๒๓ 𝟘𝟙𝟚",
    "def f(x):\n    return x**2 + 3*x - 1  # comment\n\nfor i in range(10):\n\tprint(f(i))\n",
    "int main(void) { printf(\"%d\\n\", a[i]->b & 0xff); return 0; }", "<html><body class=\"x\">&amp;</body></html>",
    "https://example.com/a/b?c=d&e=f#g user.name+tag@example.co.uk C:\\Users\\x", "$100 €50 £20 ¥1000 ₿",
    "!!! ??? ... --- ___ *** ### @@@ %%% ^^^ &&& ((())) [[[]]] {{{}}} <<<>>> ///", "a_b-c.d,e;f:g!h?i'j\"k`l~m|n\\o/p",
    "你好，世界！这是一个测试。", "今日は世界。日本語のテキストです。カタカナ ひらがな", "안녕하세요 세계 한국어 ㄱㄴㄷ ᄒᆞᆫ글",
    "Привет, мир! Ёлка ёж", "Γειά σου Κόσμε ΣΊΣΥΦΟΣ ς", "مرحبا بالعالم السلام عليكم ﷺ", "שלום עולם שָׁלוֹם", "नमस्ते दुनिया क्षत्रिय", "สวัสดีชาวโลก กำ", "Xin chào thế giới Tiếng Việt",
    "Ünïcödé Çà et là, naïve façade — “quotes” ‘single’ …", "e\u0301 e\u0301\u0323 \u0323\u0301 a\u0308\u0301 o\u0302\u0323",
    "Åå Å Å ﬁ ﬂ ﬀ ﬃ ﬅ ß ẞ İ ı Dž dž Ǆ ŉ ΐ", "\u1e9b\u0323 \u212b \u2126 \u00b5 \u03bc \u1100\u1161\u11a8 각 \uac00\u11a8",
    "Å̄ q̣̇ ḍ̇ \u0344 \u0958 \u2adc \ufb1f \U0001d15e \u0f43", "¨´¸ˆ ½ ™ ℃ № ㎏ ㈱ ﾊﾝｶｸ ＦＵＬＬ ｗｉｄｔｈ １２３",
    "👍 👍🏽 👨‍👩‍👧‍👦 🏳️‍🌈 🇩🇪🇫🇷 ❤️ 🤷🏻‍♀️ 😀😃😄", "☃ ☎ ♠ ♣ ✓ ✗ → ← ⇒ ∀∃∈∉ ∑∏∫ √2 ≈ ≠ ≤ ≥ ∞",
    "\x00 \x01\x02\x1f\x7f\x80\x9f", "a\x00b", "\ufffd \ufffe \uffff \U0001fffe \U0010ffff \ue000 \U000f0000",
    "\U00010400\U00010428 𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𝒳 𠀀𠀁 𪚥", "ａｂｃ　ＡＢＣ", "x" * 300, "ab" * 200, "a b " * 100, " " * 100, "\n" * 50, "é" * 80, "漢" * 80, "1" * 50,
    " " * 7 + "x" + " " * 8 + "y" + "\t" * 5, "Supercalifragilisticexpialidocious antidisestablishmentarianism",
    "the quick brown fox jumps over the lazy dog. THE QUICK BROWN FOX. The Quick Brown Fox.",
    "<s>a</s> <s> b </s><unk><pad>", "<|endoftext|>x<|endoftext|> <|endoftext|>", "[CLS] a [SEP] [MASK] [PAD] [UNK][CLS]",
    "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n", "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nhi<|eot_id|>",
    "<mask> x <mask>. a<mask>b  <mask>  ", "<|user|>\nhi<|end|>  \n<|assistant|> \n x", "<|system|> a<|end|>b<|end|>", "<extra_id_0> x <extra_id_1>.</s>",
    "<0x41><0x0A> <0xE2>", "▁a ▁▁b ▁", "Ġa Ċ ĠĠ", "##a ##ing", ">>TITLE<< x >>QUESTION<<y", "<|startoftranscript|><|en|><|transcribe|> hi<|0.00|>",
    "<|endoftext", "endoftext|>", "<|endoftext|", "<s", "</s", "< s>", "it’s we’re I’m", "a.b.c. e.g. i.e. U.S.A.", "do not can not isn 't ' s", "1st 2nd 3rd 4th A1B2C3 v1.2.3-rc4 10:30pm 2024-01-31",
    "αβγ123дежз你好abc", "a\u0300\u0301\u0302\u0303\u0304\u0305\u0306\u0307\u0308\u0309b", "\u0301x", " \u0301x", "\u200dx\u200d", "क्‍ष", "\U000e0067\U000e007f",
    "ﬀi ﬁ́ e\u0301\u200de", "ÀÈÌÒÙ àèìòù ÂÊÎÔÛ", "Ⱥ ȺȾ ẞ ŉ İstanbul DIYARBAKIR",
]


def pieces(path):
    """Lines and longer parts of a text file."""
    text = open(path, encoding="utf-8", errors="ignore").read()
    out = [line for line in text.split("\n")[:1500]]
    out += [text[i : i + 3000] for i in range(0, min(len(text), 150000), 3000)]
    return out


def random_texts(generator, count):
    alphabets = [
        [chr(c) for c in range(32, 127)], [" ", "\n", "\t", "a", "1", "."], list("aAbB '\u2019sStTrReE"), list("0123456789.,"),
        [chr(c) for c in range(0xA0, 0x250)], [chr(c) for c in range(0x300, 0x370)] + list("aeo"), [chr(c) for c in range(0x4E00, 0x4E80)],
        [chr(c) for c in range(0x1F300, 0x1F700)] + ["\u200d", "\ufe0f"], [chr(c) for c in range(0x20) ],
    ]
    everything = [chr(c) for c in range(0x110000) if not 0xD800 <= c <= 0xDFFF]
    out = []
    for _ in range(count):
        text = ""
        for _ in range(generator.randint(1, 4)):
            alphabet = generator.choice(alphabets + [everything])
            text += "".join(generator.choice(alphabet) for _ in range(generator.randint(1, 12)))
        out.append(text)
    return out


def texts_of(tokenizer, generator):
    added = [t.content for t in tokenizer.get_added_tokens_decoder().values()]
    out = list(CORPUS)
    for content in generator.sample(added, min(len(added), 20)):
        out += [content, "a" + content + "b", "a " + content + " b", content * 2, " \n" + content + "\t x", content[:-1], content.upper(), content.lower()]
    return out


def add_decoded(row, tokenizer, ids, text):
    if not ids:  # some decoders of the library fail on nothing
        return
    decoded = tokenizer.decode(ids, skip_special_tokens=True)
    shown = tokenizer.decode(ids, skip_special_tokens=False)
    if decoded != text:
        row["decoded"] = decoded
    if shown != decoded:
        row["shown"] = shown


def write_vectors(tokenizer, path, tokenizer_path, texts, generator, randoms=200):
    tokenizer.no_truncation()
    tokenizer.no_padding()
    with open(path, "w") as out:
        header = {"tokenizer": tokenizer_path, "made_by": "tokenizers " + tokenizers.__version__}
        out.write(json.dumps(header) + "\n")
        for text in texts:
            row = {"text": text}
            row["ids"] = tokenizer.encode(text, add_special_tokens=True).ids
            plain = tokenizer.encode(text, add_special_tokens=False).ids
            if plain != row["ids"]:
                row["plain"] = plain
            add_decoded(row, tokenizer, row["ids"], text)
            out.write(json.dumps(row, separators=(",", ":"), ensure_ascii=False) + "\n")
        size = tokenizer.get_vocab_size(with_added_tokens=True)
        for _ in range(randoms):
            ids = [generator.randrange(size) for _ in range(generator.randint(1, 30))]
            row = {"random": ids}
            add_decoded(row, tokenizer, ids, None)
            out.write(json.dumps(row, separators=(",", ":"), ensure_ascii=False) + "\n")


def main():
    arguments = sys.argv[1:]
    output = arguments.pop(0)
    os.makedirs(output, exist_ok=True)
    if arguments == ["--small"]:
        import make_small_tokenizers

        for name, tokenizer in make_small_tokenizers.make().items():
            generator = random.Random(name)
            tokenizer.save(f"{output}/{name}.json", pretty=False)
            tokenizer = Tokenizer.from_file(f"{output}/{name}.json")
            texts = [t for t in texts_of(tokenizer, generator) if len(t) <= 200] + random_texts(generator, 30)
            write_vectors(tokenizer, f"{output}/{name}.jsonl", f"{name}.json", texts, generator, randoms=20)
        return
    extra = []
    if "--texts" in arguments:
        at = arguments.index("--texts")
        for path in arguments[at + 1 :]:
            extra += pieces(path)
        arguments = arguments[:at]
    for argument in arguments:
        name, path = argument.split("=", 1)
        generator = random.Random(name)
        tokenizer = Tokenizer.from_file(path)
        texts = texts_of(tokenizer, generator) + random_texts(generator, 1000) + extra
        write_vectors(tokenizer, f"{output}/{name}.jsonl", os.path.abspath(path), texts, generator)


if __name__ == "__main__":
    main()
