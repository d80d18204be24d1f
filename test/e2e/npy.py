"""Reads the .npy files of these tests: little-endian float32, C order. Standard library only."""
import array
import ast
import sys


def read(path):
    """-> (shape, array of floats)"""
    with open(path, "rb") as file:
        data = file.read()
    if data[:6] != b"\x93NUMPY":
        raise ValueError(f"{path} is not a .npy file")
    wide = data[6] > 1
    start = 12 if wide else 10
    length = int.from_bytes(data[8:start], "little")
    header = ast.literal_eval(data[start:start + length].decode("latin-1"))
    if header["descr"] != "<f4" or header["fortran_order"]:
        raise ValueError(f"{path}: expected little-endian float32 in C order, found {header}")
    values = array.array("f")
    values.frombytes(data[start + length:])
    if sys.byteorder == "big":
        values.byteswap()
    return header["shape"], values
