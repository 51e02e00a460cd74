"""Changes zones and lines in the cameras' file: only their own lines, and with a copy of what was there before."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from tracker.errors import ConfigError
from tracker.sinks.base import writing

BACKUPS = 20
"""Copies that are kept."""


def save_geometry(
    path: Path, camera: str, zones: Sequence[Mapping[str, Any]], lines: Sequence[Mapping[str, Any]]
) -> Path:
    """Write a camera's zones and lines into the file; the path of the copy made before.

    Raises:
        ConfigError: the file has changed, and the camera is no longer in it.
        ReacquireError: it cannot be written; it stays as it was.
    """
    with writing(path):
        text = path.read_bytes().decode("utf-8")
    try:
        for key, items in (("zones", zones), ("lines", lines)):
            text = with_items(text, camera, key, items)
    except (yaml.YAMLError, LookupError) as error:
        raise ConfigError(f"{path}: camera {camera!r} is no longer in it; nothing was saved") from error
    with writing(path):
        copy = _back_up(path)
        partial = path.with_name(path.name + ".partial")
        partial.write_bytes(text.encode("utf-8"))
        shutil.copymode(path, partial)
        os.replace(partial, path)
    return copy


def with_items(text: str, camera: str, key: str, items: Sequence[Mapping[str, Any]]) -> str:
    """A YAML text in which a camera's list `key` is replaced, and all else is as it was.

    Raises:
        LookupError: there is no such camera.
    """
    root: Any = yaml.compose(text, Loader=yaml.SafeLoader)
    entry = _camera(root, camera)
    pair = next((pair for pair in entry.value if pair[0].value == key), None)
    shared = any(k.value == "defaults" and _has(v, key) for k, v in root.value)
    written = [_flow(dict(item)) for item in items]
    if pair is None and not items and not shared:
        return text
    if entry.flow_style:
        return _in_flow(text, entry, pair, key, written)
    newline = "\r\n" if "\r\n" in text else "\n"
    rows = text.splitlines(keepends=True)
    indent = " " * entry.value[0][0].start_mark.column
    block = [f"{indent}{key}:{newline}", *(f"{indent}  - {item}{newline}" for item in written)]
    if not items:
        block = [f"{indent}{key}: []{newline}"] if shared else []
    if pair is None:
        first = last = 1 + _last_row(entry)
        if not rows[first - 1].endswith(newline):
            rows[first - 1] += newline
    else:
        first, last = pair[0].start_mark.line, 1 + _last_row(pair[1], pair[0])
        before = rows[first][: pair[0].start_mark.column]
        if before.strip():  # the first key stands behind the dash
            head, *rest = block or [f"{key}: []{newline}"]
            block = [before + head.lstrip(), *rest]
    return "".join(rows[:first] + block + rows[last:])


def _camera(root: Any, name: str) -> yaml.MappingNode:
    """The node of a camera."""
    if isinstance(root, yaml.MappingNode):
        for key, value in root.value:
            if key.value == "cameras" and isinstance(value, yaml.SequenceNode):
                for entry in value.value:
                    if isinstance(entry, yaml.MappingNode) and any(
                        k.value == "name" and v.value == name for k, v in entry.value
                    ):
                        return entry
    raise LookupError(name)


def _has(node: Any, key: str) -> bool:
    return isinstance(node, yaml.MappingNode) and any(k.value == key for k, _ in node.value)


def _last_row(node: Any, key: Any = None) -> int:
    """The row that a node's content ends in: without the comments after it, which a block's end mark has in it."""
    if key is not None and node.start_mark.index < key.start_mark.index:  # an alias: the node is elsewhere
        return int(key.end_mark.line)
    if isinstance(node, yaml.ScalarNode) or node.flow_style or not node.value:
        return int(node.end_mark.line)
    inner = node.value[-1]
    return _last_row(inner[1], inner[0]) if isinstance(inner, tuple) else _last_row(inner)


def _in_flow(text: str, entry: Any, pair: Any, key: str, written: list[str]) -> str:
    """The same within a camera that is written as `{name: …, …}`."""
    value = f"{key}: [{', '.join(written)}]"
    if pair is not None:
        first, last = pair[0].start_mark.index, max(pair[1].end_mark.index, pair[0].end_mark.index)
        return text[:first] + value + text[last:]
    end = entry.end_mark.index - 1  # before the brace
    return f"{text[:end].rstrip().rstrip(',')}, {value}{text[end:]}"


def _flow(item: Mapping[str, Any]) -> str:
    """An item on one line."""
    return yaml.safe_dump(item, default_flow_style=True, sort_keys=False, allow_unicode=True, width=1_000_000).strip()


def _back_up(path: Path) -> Path:
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    copy = path.with_name(f"{path.name}.{stamp}.bak")
    shutil.copy2(path, copy)
    for old in sorted(path.parent.glob(f"{path.name}.*Z.bak"))[:-BACKUPS]:
        old.unlink()
    return copy
