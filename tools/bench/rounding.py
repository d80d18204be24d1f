"""What quantization makes of weights and activations, as torch functions and through the programs that know it."""

import dataclasses
import subprocess

import numpy as np
import torch


@dataclasses.dataclass(frozen=True)
class Scheme:
    """A way to store weights, and how the inputs of its linear layers are rounded when it runs."""
    name: str
    bits: float  # a weight, scales included, where blocks divide the columns
    activations: str
    ours: bool


SCHEMES = [
    Scheme("q4_g32", 4.5, "128", True), Scheme("q4_g64", 4.25, "128", True), Scheme("q4_g128", 4.125, "128", True),
    Scheme("q4a_g32", 4.5, "128", True), Scheme("q4_0", 4.5, "q8_0", False), Scheme("q4_K", 4.5, "q8_K", False),
    Scheme("q8_g32", 8.5, "128", True), Scheme("q8_g128", 8.125, "128", True), Scheme("q8_0", 8.5, "q8_0", False),
]


class Rounder:
    """Rounds matrices; each (scheme, matrix) once."""

    def __init__(self, round_weights, ggml_round):
        self.programs = {True: round_weights, False: ggml_round}
        self.kept = {}

    def weights(self, scheme, key, matrix):
        if (scheme.name, key) not in self.kept:
            values = matrix.detach().to(torch.float32).contiguous().numpy()
            rounded = self.run(scheme, values) if scheme.ours else self.in_runs(scheme, values)
            self.kept[scheme.name, key] = torch.from_numpy(rounded.copy())
        return self.kept[scheme.name, key]

    def run(self, scheme, values):
        done = subprocess.run([self.programs[scheme.ours], scheme.name, str(values.shape[1])], input=values.tobytes(),
                              stdout=subprocess.PIPE, check=True)
        return np.frombuffer(done.stdout, np.float32).reshape(values.shape)

    def in_runs(self, scheme, values):
        """ggml's blocks of 256 on rows of any length: rows are filled up to whole groups of 32, as ours are, and laid end
        to end. Where 256 divides the columns it is what ggml does; elsewhere it keeps the bits a weight the same, where
        filling each row up to 256 would give a group more of its own scale's bits than the type has."""
        rows, columns = values.shape
        whole = np.pad(values, ((0, 0), (0, -columns % 32)))
        runs = np.pad(whole.reshape(-1), (0, -whole.size % 256)).reshape(-1, 256)
        return self.run(scheme, runs).reshape(-1)[:whole.size].reshape(whole.shape)[:, :columns]


def in_blocks(x, block, rule):
    """Applies `rule` to runs of `block` columns, the last one filled up with zeros."""
    columns = x.shape[-1]
    whole = torch.nn.functional.pad(x, (0, -columns % block)).unflatten(-1, (-1, block))
    return rule(whole).flatten(-2)[..., :columns]


def symmetric(x, half_scale=False):
    """q = round(127 x / absmax), the scale kept as f32 or f16."""
    largest = x.abs().amax(-1, keepdim=True)
    inverse = torch.where(largest > 0, 127 / largest, 0)
    scale = largest / 127
    return (x * inverse).round() * (scale.half().float() if half_scale else scale)


def signed_extreme(x):
    """ggml's Q8_K: the value of largest magnitude becomes -127, and what would be 128 is held at 127."""
    extreme = x.gather(-1, x.abs().argmax(-1, keepdim=True))
    inverse = torch.where(extreme != 0, -127 / extreme, 0)
    scale = torch.where(extreme != 0, 1 / inverse, 0)
    return (x * inverse).round().clamp(max=127) * scale


def activations(name):
    """none, q8_0, q8_K, token, or a number of columns that share a scale."""
    if name == "none":
        return lambda x: x
    if name == "q8_0":
        return lambda x: in_blocks(x, 32, lambda b: symmetric(b, half_scale=True))
    if name == "q8_K":
        return lambda x: in_blocks(x, 256, signed_extreme)
    if name == "token":
        return symmetric
    return lambda x: in_blocks(x, int(name), symmetric)
