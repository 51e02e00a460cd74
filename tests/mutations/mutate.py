"""Ways to damage a file, drawn from a seed, and what must hold of a reader that is given the damaged ones."""

import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tracker.errors import ReacquireError

ODD = (
    *("", " ", "nan", "NaN", "inf", "-inf", "Infinity", "1e300", "-1e300", "1e-320", "1e999", "9" * 400, "1_000"),
    *("0x10", "1.5", "-1", "0", "-0", "3.0", "+3", "1e2", ".5", "5.", "1,5", "1 2", "null", "None", "true", "yes"),
    *("~", "x", "é", "١٢٣", "１２", "²", "½", "\u22121", "1\u00a0000", "\ufeff1", "\0", "\ud800", "\U0001f600"),
    *("'", '"', '"1"', "%", "%(x)s", "9007199254740993", "-9223372036854775809", "18446744073709551616"),
    *("2147483648", "a" * 5000),
)
"""What stands where a number or a word is expected."""

FIELD = re.compile(r"[^\s,;:=<>\[\]{}\"']+")


def byte_mutations(content: bytes, count: int, seed: int = 0) -> Iterator[tuple[str, bytes]]:
    """Damage that knows nothing of the format: for binary files, and for text as well.

    Yields:
        What was done, and the damaged content.
    """
    draw = random.Random(seed)
    ways = (_flip, _cut, _drop, _repeat, _overwrite, _swap, _insert)
    for number in range(count):
        way = ways[number % len(ways)]
        data = bytearray(content)
        for _ in range(draw.choice((1, 1, 1, 2, 5))):
            way(data, draw)
        yield f"{way.__name__.strip('_')} {number}", bytes(data)


def _place(data: bytearray, draw: random.Random) -> int:
    """Somewhere; often near the beginning or the end, where headers and footers are."""
    where = draw.choice(("any", "any", "head", "tail"))
    size = max(len(data), 1)
    if where == "head":
        return draw.randrange(min(64, size))
    if where == "tail":
        return size - 1 - draw.randrange(min(64, size))
    return draw.randrange(size)


def _flip(data: bytearray, draw: random.Random) -> None:
    if data:
        data[_place(data, draw)] ^= 1 << draw.randrange(8)


def _cut(data: bytearray, draw: random.Random) -> None:
    del data[_place(data, draw) :]


def _drop(data: bytearray, draw: random.Random) -> None:
    begin = _place(data, draw)
    del data[begin : begin + draw.choice((1, 4, 16, 200))]


def _repeat(data: bytearray, draw: random.Random) -> None:
    begin = _place(data, draw)
    part = data[begin : begin + draw.choice((1, 8, 100))]
    data[begin:begin] = part * draw.choice((1, 3, 50))


def _overwrite(data: bytearray, draw: random.Random) -> None:
    """With what stands for huge sizes and lengths, or for nothing."""
    begin = _place(data, draw)
    part = draw.choice((b"\xff" * 4, b"\x00" * 8, b"\xff" * 8, b"\x7f\xff\xff\xff", b"\x80", b"\xc3\x28"))
    data[begin : begin + len(part)] = part


def _swap(data: bytearray, draw: random.Random) -> None:
    a, b = sorted((_place(data, draw), _place(data, draw)))
    length = min(draw.choice((1, 4, 16)), b - a)
    data[a : a + length], data[b : b + length] = data[b : b + length], data[a : a + length]


def _insert(data: bytearray, draw: random.Random) -> None:
    begin = _place(data, draw)
    data[begin:begin] = draw.randbytes(draw.choice((1, 2, 8)))


def text_mutations(text: str, count: int, seed: int = 0) -> Iterator[tuple[str, bytes]]:
    """Damage as people and their tools do it: odd values, shifted columns, other line ends, other encodings.

    Yields:
        What was done, and the damaged content.
    """
    draw = random.Random(seed)
    ways: tuple[Callable[[str, random.Random], str | bytes], ...] = (
        *(_odd_field, _odd_field, _odd_field, _odd_field, _move_field, _drop_field, _double_field, _double_line),
        *(_drop_line, _swap_lines, _separators, _line_ends, _encoding, _blank_lines, _header, _other_number),
    )
    for number in range(count):
        way = ways[number % len(ways)]
        damaged = way(text, draw)
        if isinstance(damaged, str):
            damaged = damaged.encode("utf-8", "surrogatepass")
        yield f"{way.__name__.strip('_')} {number}", damaged


def _fields(text: str) -> list[tuple[int, int]]:
    return [match.span() for match in FIELD.finditer(text)] or [(0, len(text))]


def _odd_field(text: str, draw: random.Random) -> str:
    begin, end = draw.choice(_fields(text))
    return text[:begin] + draw.choice(ODD) + text[end:]


def _other_number(text: str, draw: random.Random) -> str:
    """A number, but another one."""
    begin, end = draw.choice(_fields(text))
    return text[:begin] + str(draw.choice((0, 1, 2, 7, -1, 0.5, 100, 1e6, 1e7 + 1, 2**31, 2**53 + 1))) + text[end:]


def _move_field(text: str, draw: random.Random) -> str:
    lines = text.split("\n")
    row = draw.randrange(len(lines))
    fields = re.split(r"([,\s])", lines[row])
    fields.insert(draw.randrange(len(fields)), fields.pop(draw.randrange(len(fields))))
    lines[row] = "".join(fields)
    return "\n".join(lines)


def _drop_field(text: str, draw: random.Random) -> str:
    begin, end = draw.choice(_fields(text))
    return text[:begin] + text[end + draw.randrange(2) :]


def _double_field(text: str, draw: random.Random) -> str:
    begin, end = draw.choice(_fields(text))
    return text[:end] + draw.choice((",", " ", "\t", ";")) + text[begin:]


def _double_line(text: str, draw: random.Random) -> str:
    lines = text.split("\n")
    lines.insert(draw.randrange(len(lines)), draw.choice(lines))
    return "\n".join(lines)


def _drop_line(text: str, draw: random.Random) -> str:
    lines = text.split("\n")
    del lines[draw.randrange(len(lines))]
    return "\n".join(lines)


def _swap_lines(text: str, draw: random.Random) -> str:
    lines = text.split("\n")
    draw.shuffle(lines)
    return "\n".join(lines)


def _separators(text: str, draw: random.Random) -> str:
    new = draw.choice(("\t", " ", ", ", " , ", ";", ",,", "\u00a0", "|"))
    if draw.random() < 0.5:
        return text.replace(",", new)
    lines = text.split("\n")
    row = draw.randrange(len(lines))
    lines[row] = lines[row].replace(",", new).replace(" ", new)
    return "\n".join(lines)


def _line_ends(text: str, draw: random.Random) -> str:
    return text.replace("\n", draw.choice(("\r\n", "\r", "\n\r", ",\n", " \n", "\n\n", "\0\n", "\x0b", "\u2028", "")))


def _encoding(text: str, draw: random.Random) -> bytes:
    way = draw.choice(("utf-8-sig", "utf-16", "utf-32", "utf-16-be", "latin-1", "cp1252"))
    name = text + "\n# café" if draw.random() < 0.5 else text
    return name.encode(way, "replace")


def _blank_lines(text: str, draw: random.Random) -> str:
    lines = text.split("\n")
    for _ in range(draw.choice((1, 3))):
        lines.insert(draw.randrange(len(lines) + 1), draw.choice(("", " ", "\t", "\ufeff", ",,,", "\0", "#", "# note")))
    return "\n".join(lines)


def _header(text: str, draw: random.Random) -> str:
    words = ("frame,id,left,top,width,height,score", "frame id x y w h conf", "a", "1", '"frame","id"', "% note")
    return draw.choice(words) + "\n" + text


def check(
    read: Callable[[Path], Any],
    path: Path,
    mutations: Iterator[tuple[str, bytes]],
    right: Callable[[Any, bytes], None] = lambda got, content: None,
) -> tuple[int, int]:
    """Give a reader every damaged file: it refuses it by an error of ours that can be printed, or reads it rightly.

    Args:
        read: takes the path.
        path: where each damaged content is put, one after the other.
        mutations: what was done, and the damaged content.
        right: asserts that what was read is right; is given the content too.

    Returns:
        How many were read, and how many refused.
    """
    accepted = refused = 0
    for name, content in mutations:
        path.write_bytes(content)
        try:
            got = read(path)
        except ReacquireError as error:
            refused += 1
            message = str(error)
            assert len(message) < 2000, f"{name}: a message of {len(message)} characters"
            message.encode()  # can be printed
        except BaseException as error:
            error.add_note(f"{name}: {content[:300]!r}")
            raise
        else:
            accepted += 1
            try:
                right(got, content)
            except BaseException as error:
                error.add_note(f"{name}: {content[:300]!r}")
                raise
    return accepted, refused
