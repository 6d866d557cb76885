"""Seeded damage to a file's bytes: flips, cuts, swapped pieces, inserted pickle opcodes."""

import random
from collections.abc import Callable

Mutation = Callable[[bytes, random.Random], bytes]

_ENDS = 4096  # bytes at both ends, where headers and directories are; half of the damage is there
_NAMES = (b"cos\nsystem\n", b"cbuiltins\neval\n", b"csubprocess\nPopen\n", b"cnumpy\nload\n")
_OPCODES = (
    *(bytes([code]) for code in range(256)),  # each one alone, legal or not
    *(name + b"X\x04\x00\x00\x00true\x85R" for name in _NAMES),
    *(b"(X\x02\x00\x00\x00osX\x06\x00\x00\x00system\x93", b"\x82\x01", b"Q", b"b", b"R", b"u"),
    *(b"\x8e\xff\xff\xff\xff\xff\x00\x00\x00", b"\x8d" + b"\xff" * 8, b"X\xff\xff\xff\x7f"),
    *(b"r\xff\xff\xff\xff", b"j\x00\x00\x00\x00", b"2" * 60, b"\x85" * 60, b"]" * 60, b"(" * 60),
)


def _place(data: bytes, chance: random.Random) -> int:
    """Chooses a byte: near an end of the file in one case of two."""
    size = len(data)
    if chance.random() < 0.5:
        return chance.randrange(size)
    near = chance.randrange(min(size, _ENDS))
    return near if chance.random() < 0.7 else size - 1 - near


def flip(data: bytes, chance: random.Random) -> bytes:
    """Replaces 1 to 4 bytes."""
    damaged = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        damaged[_place(data, chance)] = chance.randrange(256)
    return bytes(damaged)


def cut(data: bytes, chance: random.Random) -> bytes:
    """Leaves the beginning."""
    return data[: _place(data, chance)]


def swap(data: bytes, chance: random.Random) -> bytes:
    """Exchanges two pieces of up to 256 bytes."""
    size = chance.randint(1, max(1, min(256, len(data) // 3)))
    first, second = sorted(min(_place(data, chance), len(data) - size) for _ in range(2))
    second = max(second, first + size)
    a, b = data[first : first + size], data[second : second + size]
    return data[:first] + b + data[first + size : second] + a + data[second + size :]


def insert(data: bytes, chance: random.Random) -> bytes:
    """Inserts pickle opcodes."""
    place = _place(data, chance)
    codes = b"".join(chance.choice(_OPCODES) for _ in range(chance.randint(1, 3)))
    return data[:place] + codes + data[place:]


MUTATIONS: tuple[Mutation, ...] = (flip, cut, swap, insert)


def mutated(data: bytes, seed: int) -> bytes:
    """Returns a file with damage of one kind or, in one case of four, of several kinds.

    Args:
        data: the sound file.
        seed: decides everything.

    Example:
        >>> mutated(b"0123456789", 0) == mutated(b"0123456789", 0)
        True
    """
    chance = random.Random(seed)
    for _ in range(chance.randint(2, 4) if chance.random() < 0.25 else 1):
        data = chance.choice(MUTATIONS)(data, chance) if data else data
    return data
