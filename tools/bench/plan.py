"""What side_by_side.py runs, and the rows of its table: which figures each takes and what it has to reach.

A contender is called "ours SCHEME[:avx2]", "llama TYPE[:avx2|fa0|fa1|QUICK]", "ctranslate2", "openvino" or "onnxruntime".
"""

import dataclasses

from sides import Work

WHEELS = ["ctranslate2", "openvino", "onnxruntime"]
# Where llama.cpp starts quickest is measured, not assumed.
QUICK_STARTS = {"": [], "no-repack": ["--no-repack"], "no-warmup": ["--no-warmup"],
                "no-both": ["--no-repack", "--no-warmup"]}


@dataclasses.dataclass(frozen=True)
class Match:
    """Contenders that take turns at one piece of work."""
    name: str
    shape: str
    work: Work | None  # None: exec to first token
    contenders: tuple
    rounds: int


def llama(type, *variants):
    return [f"llama {type}" + (f":{variant}" if variant else "") for variant in variants or [""]]


def matches(shape, quick):
    """All of a shape's matches. Quick: fewer rounds and shorter work, the same contenders."""
    rounds = (lambda n: 1) if quick else (lambda n: n)
    decode = 32 if quick else 128
    main = ["ours q4_g32", *llama("Q4_0"), "ours q4_g128", *llama("Q4_K")]
    if shape != "1b":
        # Apart: a prompt takes half a minute, and the limits measured beside it say nothing about the decode after it.
        return [Match("main", shape, Work(prompt=512), tuple(main), rounds(3)),
                Match("main", shape, Work(decode=32 if quick else 64), tuple(main[:2]), rounds(7))]
    out = [Match("main", shape, Work(prompt=512, decode=decode), tuple(main), rounds(5))]
    flash = ["ours q4_g32", *llama("Q4_0", "fa0", "fa1")]
    quality = ["ours q4_g32", "ours q4a_g32", "ours q8_g128", *llama("Q4_0"), *llama("Q4_K")]
    out.append(Match("quality", shape, Work(decode=decode), tuple(quality), rounds(3)))
    out.append(Match("wheels", shape, Work(prompt=512, decode=16 if quick else 64),
                     ("ours q4_g128", "ours q8_g128", *WHEELS), rounds(5)))
    out += [Match("streams", shape, Work(decode=16 if quick else 32, streams=n), ("ours q4_g32", *llama("Q4_0")), rounds(3))
            for n in ([8, 16] if quick else [2, 4, 8, 16, 32])]
    out.append(Match("avx2", shape, Work(prompt=512, decode=decode), ("ours q4_g32:avx2", *llama("Q4_0", "avx2")),
                     rounds(3)))
    out.append(Match("start", shape, None, ("ours q4_g32", *llama("Q4_0", *QUICK_STARTS)), rounds(5)))
    out.append(Match("depth", shape, Work(prompt=0 if quick else 512, decode=decode, depth=4096), tuple(flash), rounds(2)))
    out.append(Match("depth", shape, Work(prompt=512, depth=8192), tuple(flash), rounds(2)))
    if not quick:
        # A match of its own: llama.cpp takes five minutes to come that deep, as long as most other matches take in all.
        out.append(Match("deep", shape, Work(prompt=512, decode=decode, depth=16384), tuple(flash), 1))
    return out


@dataclasses.dataclass(frozen=True)
class Row:
    """A line of the table. `kind` says what the figure is:
    read, dot   the share that `ours` reaches of the read bandwidth or of the dot peak
    ratio       `ours` over the best of `peers`, the median of the rounds; seconds the other way round
    quality     the same with the cheapest scheme of ours that is no less accurate than the best peer's
    `or_read`: a ratio is met too where the peer is above the first share and ours reaches the second; bar and stretch."""
    name: str
    kind: str
    match: str
    shape: str
    test: str  # a prefix of the test's name
    ours: str
    peers: tuple = ()
    bar: float = 0
    stretch: float = 0
    or_read: tuple = ()


def rows():
    both, near = ("llama Q4_0", "llama Q4_K"), ((0.73, 0.88), (0.63, 0.95))
    flash = ("llama Q4_0:fa0", "llama Q4_0:fa1")
    out = []
    for shape in ("1b", "8b"):
        out += [
            Row(f"decode {shape} q4_g32, of the read", "read", "main", shape, "tg", "ours q4_g32", (), 0.88, 0.95),
            Row(f"decode {shape}, next to llama.cpp Q4_0", "ratio", "main", shape, "tg", "ours q4_g32", both[:1], 1.2, 1.5,
                near),
            Row(f"prompt 512 {shape} q4_g128, of the dot peak", "dot", "main", shape, "pp512", "ours q4_g128", (), 0.75,
                0.85),
            Row(f"prompt 512 {shape} q4_g32, of the dot peak", "dot", "main", shape, "pp512", "ours q4_g32", (), 0.68, 0.78),
            Row(f"prompt 512 {shape}, next to the better of Q4_0 and Q4_K", "ratio", "main", shape, "pp512", "ours q4_g32",
                both, 2.3, 2.8),
        ]
    out += [
        Row("decode, next to the best peer at no worse accuracy", "quality", "quality", "1b", "tg", "", both, 1.2, 1.6,
            near),
        Row("decode at depth 4096", "ratio", "depth", "1b", "tg*@4096", "ours q4_g32", flash, 1.4, 1.6),
        Row("decode at depth 16384", "ratio", "deep", "1b", "tg*@16384", "ours q4_g32", flash),
        Row("prompt 512 at depth 8192", "ratio", "depth", "1b", "pp512@8192", "ours q4_g32", flash, 2.5, 4),
        Row("prompt 512 q4_g128, next to the best of the wheels", "ratio", "wheels", "1b", "pp512", "ours q4_g128",
            tuple(WHEELS), 1.2, 1.4),
        Row("prompt 512 q8_g128, next to the best of the wheels", "ratio", "wheels", "1b", "pp512", "ours q8_g128",
            tuple(WHEELS)),
        *[Row(f"{n} streams", "ratio", "streams", "1b", f"tg*x{n}", "ours q4_g32", both[:1], *bars)
          for n, bars in ((2, ()), (4, ()), (8, (3.5, 4.5)), (16, (2.8, 3.5)), (32, ()))],
        Row("AVX2, prompt 512", "ratio", "avx2", "1b", "pp512", "ours q4_g32:avx2", ("llama Q4_0:avx2",), 2, 2.5),
        Row("AVX2, decode", "ratio", "avx2", "1b", "tg", "ours q4_g32:avx2", ("llama Q4_0:avx2",), 1.1, 1.4),
        Row("exec to first token of 16", "ratio", "start", "1b", "first", "ours q4_g32",
            tuple(llama("Q4_0", *QUICK_STARTS)), 3, 4.5),
    ]
    return out
