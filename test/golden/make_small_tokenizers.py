"""Small tokenizers, one for each kind of pattern, normalizer, model and decoder, trained on make_tokenizers.CORPUS."""
import json

from make_tokenizers import CORPUS
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
UPPER, LOWER = r"\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}", r"\p{Ll}\p{Lm}\p{Lo}\p{M}"
TAIL = r"\s*[\r\n]+|\s+(?!\S)|\s+"
LLAMA3 = CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|" + TAIL
QWEN2 = CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|" + TAIL
GPT4O = (
    rf"[^\r\n\p{{L}}\p{{N}}]?[{UPPER}]*[{LOWER}]+{CONTRACTIONS}?|[^\r\n\p{{L}}\p{{N}}]?[{UPPER}]+[{LOWER}]*{CONTRACTIONS}?"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|" + TAIL
)
KIMI = (
    rf"[\p{{Han}}]+|[^\r\n\p{{L}}\p{{N}}]?[{UPPER}&&[^\p{{Han}}]]*[{LOWER}&&[^\p{{Han}}]]+{CONTRACTIONS}?"
    rf"|[^\r\n\p{{L}}\p{{N}}]?[{UPPER}&&[^\p{{Han}}]]+[{LOWER}&&[^\p{{Han}}]]*{CONTRACTIONS}?"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|" + TAIL
)
DEEPSEEK3 = (
    r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|"""
    + TAIL
)
CLIP = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"


def split(pattern, behavior="isolated", invert=False):
    return pre_tokenizers.Split(Regex(pattern), behavior, invert)


def byte_level(use_regex=False, prefix=False):
    return pre_tokenizers.ByteLevel(add_prefix_space=prefix, use_regex=use_regex)


def byte_bpe(pre_tokenizer, normalizer=None, specials=("<|endoftext|>", "<|im_start|>", "<|im_end|>"), size=420, **model):
    tokenizer = Tokenizer(models.BPE(**model))
    if normalizer:
        tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size, special_tokens=list(specials), initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False,
        **{key: model[key] for key in ("end_of_word_suffix", "continuing_subword_prefix") if key in model},
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    return tokenizer


def sentence_bpe(pre_tokenizer, normalizer, decoder, specials=("<unk>", "<s>", "</s>"), alphabet=60):
    """Merges over characters, with tokens for bytes put in afterwards."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    if normalizer:
        tokenizer.normalizer = normalizer
    if pre_tokenizer:
        tokenizer.pre_tokenizer = pre_tokenizer
    byte_tokens = [f"<0x{b:02X}>" for b in range(256)]
    trainer = trainers.BpeTrainer(vocab_size=440, limit_alphabet=alphabet, special_tokens=list(specials) + byte_tokens, show_progress=False)
    tokenizer.train_from_iterator(CORPUS, trainer)
    saved = json.loads(tokenizer.to_str())
    saved["added_tokens"] = [t for t in saved["added_tokens"] if t["content"] in specials]
    tokenizer = Tokenizer.from_str(json.dumps(saved))
    tokenizer.decoder = decoder
    return tokenizer


def template(tokenizer, single, names):
    ids = [(name, tokenizer.token_to_id(name)) for name in names]
    tokenizer.post_processor = processors.TemplateProcessing(single=single, pair=single + " $B:1", special_tokens=ids)
    return tokenizer


def llama2_decoder():
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    return decoders.Sequence(steps)


def llama3():
    tokenizer = byte_bpe(pre_tokenizers.Sequence([split(LLAMA3), byte_level()]), ignore_merges=True, specials=("<|begin_of_text|>", "<|eot_id|>"))
    template(tokenizer, "<|begin_of_text|> $A", ["<|begin_of_text|>"])
    return edited(tokenizer, lambda t: t.update(post_processor={"type": "Sequence", "processors": [{"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False, "use_regex": True}, t["post_processor"]]}))


def edited(tokenizer, change):
    saved = json.loads(tokenizer.to_str())
    change(saved)
    return Tokenizer.from_str(json.dumps(saved))


def old_merges(tokenizer):
    """Merges spelled "a b", as older files have them."""
    return edited(tokenizer, lambda t: t["model"].update(merges=[" ".join(pair) for pair in t["model"]["merges"]]))


def bert():
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=40))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(cleanup=True)
    trainer = trainers.WordPieceTrainer(vocab_size=400, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"], show_progress=False)
    tokenizer.train_from_iterator(CORPUS, trainer)
    return template(tokenizer, "[CLS] $A [SEP]", ["[CLS]", "[SEP]"])


def bert_cased():
    tokenizer = edited(bert(), lambda t: t["normalizer"].update(lowercase=False, strip_accents=None, clean_text=True))
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer.decoder = decoders.WordPiece(cleanup=False)
    return tokenizer


def unigram():
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence([normalizers.Nmt(), normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="always")
    trainer = trainers.UnigramTrainer(vocab_size=400, special_tokens=["<pad>", "</s>", "<unk>"], unk_token="<unk>", show_progress=False)
    tokenizer.train_from_iterator(CORPUS, trainer)
    return template(tokenizer, "$A </s>", ["</s>"])


def flags():
    """Added tokens with every flag, and a normalizer that changes them."""
    tokenizer = byte_bpe(byte_level(use_regex=True, prefix=True), normalizer=normalizers.Lowercase(), specials=("<s>",))
    for number in range(32):
        bits = dict(zip(("single_word", "lstrip", "rstrip", "normalized"), (bool(number & 1 << b) for b in range(4))))
        token = AddedToken(f"[Tok{number}]" if number % 3 else f"Word{number}", special=number >= 16, **bits)
        tokenizer.add_special_tokens([token]) if token.special else tokenizer.add_tokens([token])
    tokenizer.add_tokens([AddedToken("    ", normalized=False), AddedToken("  ", normalized=True), AddedToken("ing", single_word=False)])
    return tokenizer


def gpt2_prefix():
    tokenizer = byte_bpe(byte_level(use_regex=True, prefix=True), specials=("<s>", "<pad>", "</s>", "<unk>", "<mask>"))
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    return old_merges(tokenizer)


def unknowns(fuse):
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=fuse, continuing_subword_prefix="##", end_of_word_suffix="</w>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.decoder = decoders.BPEDecoder()
    trainer = trainers.BpeTrainer(vocab_size=300, limit_alphabet=40, special_tokens=["<unk>"], show_progress=False, continuing_subword_prefix="##", end_of_word_suffix="</w>")
    tokenizer.train_from_iterator(CORPUS, trainer)
    return tokenizer


def clip():
    normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()])
    pre = pre_tokenizers.Sequence([split(CLIP, "removed", invert=True), byte_level()])
    tokenizer = byte_bpe(pre, normalizer, specials=("<|startoftext|>", "<|endoftext|>"), end_of_word_suffix="</w>", unk_token="<|endoftext|>")
    tokenizer.decoder = decoders.Sequence([decoders.ByteLevel(), decoders.Replace("</w>", " ")])
    return tokenizer


def behaviors():
    """Splits of every behavior one after the other."""
    steps = [
        split(r"\d+", "merged_with_previous"), split("[aeiou]+", "merged_with_next"), split(r"[\p{P}]", "contiguous"),
        pre_tokenizers.Split("-", "removed"), pre_tokenizers.Punctuation("merged_with_next"), pre_tokenizers.CharDelimiterSplit("x"),
        pre_tokenizers.Digits(individual_digits=False), pre_tokenizers.WhitespaceSplit(),
        split(r"(?<=[A-Z])[a-z]{2,}?(?=[^q])|(?>b+c?)|\bth\B|^H|d$|\A\p{Lu}*+", "isolated"), byte_level(),
    ]
    return byte_bpe(pre_tokenizers.Sequence(steps))


def forms(form, strip):
    steps = [form, normalizers.StripAccents(), normalizers.Strip(left=strip, right=not strip), normalizers.Replace("e", "3")]
    return byte_bpe(byte_level(use_regex=True), normalizers.Sequence(steps), size=320)


def make():
    metaspace_first = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    gemma_decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    prepend = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    deepseek_llm = pre_tokenizers.Sequence([
        split(r"[\r\n]"), split(r"\s?\p{L}+"), split(r"\s?\p{P}+"), split("[一-龥ࠀ-一가-퟿]+"), split(r"\s+$"),
        pre_tokenizers.Digits(individual_digits=True), byte_level(),
    ])
    deepseek3 = pre_tokenizers.Sequence([split(r"\p{N}{1,3}"), split("[一-龥぀-ゟ゠-ヿ]+"), split(DEEPSEEK3), byte_level()])
    starcoder = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), byte_level(use_regex=True)])
    falcon = pre_tokenizers.Sequence([pre_tokenizers.Punctuation("contiguous"), byte_level(use_regex=True), pre_tokenizers.Digits(False), split("[0-9][0-9][0-9]")])
    return {
        "gpt2": old_merges(byte_bpe(byte_level(use_regex=True))),
        "gpt2-prefix": gpt2_prefix(),
        "llama3": llama3(),
        "qwen2": byte_bpe(pre_tokenizers.Sequence([split(QWEN2), byte_level()]), normalizers.NFC()),
        "gpt4o": byte_bpe(pre_tokenizers.Sequence([split(GPT4O), byte_level()])),
        "kimi": byte_bpe(pre_tokenizers.Sequence([split(KIMI), byte_level()])),
        "deepseek-llm": byte_bpe(deepseek_llm),
        "deepseek-v3": byte_bpe(deepseek3),
        "starcoder": byte_bpe(starcoder),
        "falcon": byte_bpe(falcon),
        "clip": clip(),
        "llama2": template(sentence_bpe(None, prepend, llama2_decoder()), "<s> $A", ["<s>"]),
        "mistral": template(sentence_bpe(metaspace_first, None, llama2_decoder()), "<s> $A", ["<s>"]),
        "gemma": sentence_bpe(pre_tokenizers.Split(" ", "merged_with_previous"), normalizers.Replace(" ", "▁"), gemma_decoder),
        "bert": bert(),
        "bert-cased": bert_cased(),
        "unigram": unigram(),
        "flags": flags(),
        "unknown-fused": unknowns(True),
        "unknown": unknowns(False),
        "behaviors": behaviors(),
        "nfd": forms(normalizers.NFD(), True),
        "nfkd": forms(normalizers.NFKD(), False),
        "fixed-length": byte_bpe(pre_tokenizers.Sequence([pre_tokenizers.FixedLength(7), byte_level()]), size=320),
    }
