"""Turns good inputs into bad ones: bits, spans, tokens, lines. Everything is drawn from one seeded `Random`."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from random import Random

NUMBERS = [
    b"", b"0", b"-0", b"-1", b"1", b"nan", b"NaN", b"inf", b"-inf", b"Infinity", b"1e308", b"1e400", b"-1e308",
    b"5e-324", b"1e15", b"1e16", b"1_000", b"0x10", b"1,5", b" 1", b"+1", b"9223372036854775807",
    b"9223372036854775808", b"-9223372036854775808", b"18446744073709551616", b"9" * 400, b"1" * 5000, b"true",
    b"null", b'""', b"1e", b".", b"-", "\u0663".encode(), b"1767225600000", b"1767225600000000", b"58190",
    b"2026-02-30 00:00:00", b"9999-12-31 23:59:59",
]  # fmt: skip
TOKENS = [
    b"[", b"]", b"{", b"}", b"<", b">", b"&", b"&a;", b"/", b"..", b"../", b"\\", b"\0", b"\r", b"\n", b"\r\n",
    b",", b";", b":", b'"', b"'", b" ", b"\t", b"null", b"true", b"[[", b"{}", b"[]", b"<!--", b"]]>", b"%2e%2e",
    b"$", b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06", b"\xff", b"\xef\xbb\xbf", b"\xff\xfe",
    "\u202e\u5e01".encode(), b"-", b"_", b"=",
]  # fmt: skip
_NUMBER = re.compile(rb"-?[0-9][0-9.]*")
_WORD = re.compile(rb"[A-Za-z_]+")

Mutator = Callable[[Random, bytes, Sequence[bytes]], bytes]


def flip_a_bit(rng: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    place = rng.randrange(len(data))
    return data[:place] + bytes([data[place] ^ 1 << rng.randrange(8)]) + data[place + 1 :]


def set_a_byte(rng: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    place = rng.randrange(len(data))
    return data[:place] + bytes([rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))]) + data[place + 1 :]


def insert_a_token(rng: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    place = rng.randrange(len(data) + 1)
    return data[:place] + rng.choice(TOKENS) + data[place:]


def insert_many(rng: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    place = rng.randrange(len(data) + 1)
    return data[:place] + rng.choice(TOKENS) * rng.choice((10, 100, 2000)) + data[place:]


def drop_a_span(rng: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    start, end = _span(rng, data)
    return data[:start] + data[end:]


def double_a_span(rng: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    start, end = _span(rng, data)
    return data[:end] + data[start:end] * rng.choice((1, 1, 2, 20)) + data[end:]


def cut_off(rng: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    return data[: rng.randrange(len(data))]


def splice(rng: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    other = rng.choice(others)
    return data[: rng.randrange(len(data) + 1)] + other[rng.randrange(len(other) + 1) :]


def replace_a_number(rng: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    return _replaced(rng, data, _NUMBER, NUMBERS)


def replace_a_word(rng: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    return _replaced(rng, data, _WORD, [*TOKENS, b"nan", b"symbol", b"BTCUSDT", b"ts"])


def change_the_lines(rng: Random, data: bytes, _: Sequence[bytes]) -> bytes:
    lines = data.split(b"\n")
    one, other = rng.randrange(len(lines)), rng.randrange(len(lines))
    match rng.randrange(4):
        case 0:
            lines[one], lines[other] = lines[other], lines[one]
        case 1:
            lines.insert(one, lines[other])
        case 2:
            del lines[one]
        case _:
            lines[one] = b",".join(rng.sample(cells := lines[one].split(b","), len(cells)))
    return b"\n".join(lines)


MUTATORS: tuple[Mutator, ...] = (
    flip_a_bit, set_a_byte, insert_a_token, insert_many, drop_a_span, double_a_span, cut_off, splice,
    replace_a_number, replace_a_number, replace_a_number, replace_a_word, change_the_lines,
)  # fmt: skip


def mutate(rng: Random, data: bytes, others: Sequence[bytes], most: int = 3) -> bytes:
    """Return an input after one to `most` mutations; at most 64 kB, so that time is spent on shapes and not on size."""
    for _ in range(rng.randint(1, most)):
        if not data:
            data = rng.choice(others)
        data = rng.choice(MUTATORS)(rng, data, others)[:65_536]
    return data


def _span(rng: Random, data: bytes) -> tuple[int, int]:
    start = rng.randrange(len(data))
    return start, min(len(data), start + rng.choice((1, 2, 4, 10, 50, 300)))


def _replaced(rng: Random, data: bytes, pattern: re.Pattern[bytes], by: Sequence[bytes]) -> bytes:
    """Replace one of the matches that follow a random place."""
    match = pattern.search(data, rng.randrange(len(data))) or pattern.search(data)
    return data if match is None else data[: match.start()] + rng.choice(by) + data[match.end() :]
