"""The folder of a run: a new one each time, with `run.json` about what happened in it."""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tracker.sinks.base import partial_name, writing


def create_run_folder(wanted: Path, *, overwrite: bool = False) -> Path:
    """A new folder: `wanted`, or `wanted-2`, `wanted-3`, … where it exists and is not empty.

    Args:
        wanted: its name.
        overwrite: empty and take the existing one instead. Only a folder that holds a `run.json` is emptied.

    Raises:
        ReacquireError: it cannot be made.
    """
    with writing(wanted):
        if overwrite and (wanted / "run.json").is_file():
            shutil.rmtree(wanted)
        for number in itertools.count(1):
            folder = wanted if number == 1 else wanted.with_name(f"{wanted.name}-{number}")
            try:
                folder.mkdir(parents=True)
            except FileExistsError:
                if folder.is_dir() and not any(folder.iterdir()):
                    return folder
                continue
            return folder
    raise AssertionError("unreachable: numbers do not end")


def as_json(content: Any, encoding: str = "utf-8") -> str:
    """JSON for people: readable characters, or escapes where the encoding lacks one, as for bytes of a file's name."""
    text = json.dumps(content, indent=2, ensure_ascii=False)
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return json.dumps(content, indent=2)
    return text


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a file that is always whole: the old one or the new one."""
    partial = partial_name(path)
    with writing(path):
        partial.write_text(as_json(content) + "\n", encoding="utf-8")
        partial.replace(path)
