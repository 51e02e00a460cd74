"""Changes zones and lines in the cameras' file; comments stay, and a copy of what was there before."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

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
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 4096
    yaml.indent(mapping=2, sequence=4, offset=2)
    with writing(path):
        before = path.read_text(encoding="utf-8")
    try:
        content = yaml.load(before)
        entry = next(c for c in content["cameras"] if c["name"] == camera)
    except (YAMLError, StopIteration, KeyError, TypeError) as error:
        raise ConfigError(f"{path}: camera {camera!r} is no longer in it; nothing was saved") from error
    for key, items in (("zones", zones), ("lines", lines)):
        if items:
            entry[key] = [_compact(item) for item in items]
        else:
            entry.pop(key, None)
    text = io.StringIO()
    yaml.dump(content, text)
    with writing(path):
        copy = _back_up(path)
        partial = path.with_name(path.name + ".partial")
        partial.write_text(text.getvalue(), encoding="utf-8")
        shutil.copymode(path, partial)
        os.replace(partial, path)
    return copy


def _compact(item: Mapping[str, Any]) -> Any:
    """An item with its points on one line."""
    from ruamel.yaml.comments import CommentedMap, CommentedSeq

    def flow(values: Sequence[Any]) -> CommentedSeq:
        sequence = CommentedSeq([flow(v) if isinstance(v, list | tuple) else v for v in values])
        sequence.fa.set_flow_style()
        return sequence

    return CommentedMap({key: flow(v) if isinstance(v, list | tuple) else v for key, v in item.items()})


def _back_up(path: Path) -> Path:
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    copy = path.with_name(f"{path.name}.{stamp}.bak")
    shutil.copy2(path, copy)
    for old in sorted(path.parent.glob(f"{path.name}.*Z.bak"))[:-BACKUPS]:
        old.unlink()
    return copy
