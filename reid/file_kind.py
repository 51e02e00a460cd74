"""What a file of weights is, by its content; the name says nothing."""

from __future__ import annotations

import json
import os
import struct
import zipfile
from pathlib import Path
from typing import Literal

from reid.errors import WeightsError

Kind = Literal[
    "safetensors", "onnx", "checkpoint", "torchscript", "openvino", "ncnn", "tensorrt", "text", "empty", "other"
]
"""`checkpoint` is a pickle as torch saves it, in a zip or not; `text` is anything that can be read as such, like YAML;
`other` may be the export of some other library, or anything else."""
MOST_HEADER = 100_000_000
"""Bytes of a safetensors file's header, by its specification."""
HEAD = 4096
"""Bytes from which most formats are known."""


def kind_of(path: Path) -> Kind:
    """What a file or folder holds.

    Raises:
        WeightsError: it cannot be read, or it is neither a file nor a folder (a pipe, say, or a device).
    """
    try:
        if path.is_dir():
            return _folder(path)
        if not path.is_file():
            raise WeightsError(f"{path}: no weights: neither a file nor a folder")
        with path.open("rb") as file:
            head = file.read(HEAD)
        return _file(path, head, path.stat().st_size)
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read ({error.strerror or error})") from error


def _file(path: Path, head: bytes, size: int) -> Kind:
    if not head:
        return "empty"
    if head.startswith(b"PK\x03\x04"):
        return _zip(path)
    if head[0] == 0x80 and head[1:2] and head[1] <= 5:  # PROTO, the first operation of a binary pickle
        return "checkpoint"
    if head[257:262] == b"ustar":  # what torch saved before it had a format of its own
        return "checkpoint"
    length = struct.unpack("<Q", head[:8].ljust(8, b"\xff"))[0]
    if length <= MOST_HEADER and head[8:9] == b"{":
        return "safetensors"
    if head[:4] in (b"ptrt", b"ftrt") or (head[4:5] == b"{" and struct.unpack("<I", head[:4])[0] <= size - 4):
        return "tensorrt"
    if _is_text(head):
        return "text"
    return "onnx" if _is_onnx(head) else "other"


def _zip(path: Path) -> Kind:
    try:
        with zipfile.ZipFile(path) as archive:
            names = {name.rpartition("/")[2] for name in archive.namelist()}
    except (zipfile.BadZipFile, ValueError, NotImplementedError, EOFError, OverflowError):
        return "checkpoint"  # damaged; its reader says so
    if "constants.pkl" in names:
        return "torchscript"
    return "checkpoint" if "data.pkl" in names else "other"


def _is_text(head: bytes) -> bool:
    """Whether it reads as UTF-8 without control characters, but for a letter that the end cuts in two."""
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError as error:
        if len(head) < HEAD or error.start < HEAD - 3:
            return False
        text = head[: error.start].decode("utf-8")
    return all(letter.isprintable() or letter in "\t\r\n\f\ufeff" for letter in text)


def _is_onnx(head: bytes) -> bool:
    """Whether it begins as an ONNX model does: with a field of `ModelProto`, in protobuf's encoding.

    `ir_version` (8, 0x08 a varint) comes first as programs write it; others are texts, messages, or numbers.
    """
    varints, lengths = {1, 5}, {2, 3, 4, 6, 7, 8, 14, 20, 25, 26}
    if head[0] & 0x80:  # the tags of fields from 16 on take two bytes
        number, wire = (head[0] & 0x7F | (head[1] if len(head) > 1 else 0) << 7) >> 3, head[0] & 7
    else:
        number, wire = head[0] >> 3, head[0] & 7
    return (wire == 0 and number in varints) or (wire == 2 and number in lengths)


def _folder(path: Path) -> Kind:
    suffixes = {Path(name).suffix.lower() for name in os.listdir(path)}
    if ".xml" in suffixes and ".bin" in suffixes:
        return "openvino"
    if ".param" in suffixes and ".bin" in suffixes:
        return "ncnn"
    return "other"


def declared_size(path: Path) -> int | None:
    """Bytes that a safetensors file should have, by its own header; None where that cannot be read."""
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > MOST_HEADER:  # no header is so long: the first bytes are something else
                return None
            content = file.read(length)
        if len(content) < length:
            return 8 + int(length)
        header = json.loads(content)
        ends = [int(entry["data_offsets"][1]) for name, entry in header.items() if name != "__metadata__"]
        return 8 + int(length) + max(ends, default=0)
    except (OSError, struct.error, ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError):
        return None
