"""Changes zones and lines in the cameras' file: their own text and no other, and with a copy of what was there before.

The reader's own marks say where a camera's zones are written, in whatever layout; only that piece is written anew. What
comes of it is read again and compared with what was wanted before it replaces the file. (Libraries that write the whole
file anew keep less: ruamel.yaml 0.19 loses comments within lists, and makes `- # …` and what follows one line.)
"""

from __future__ import annotations

import copy
import json
import os
import re
import shutil
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from reid.files import replacing, writing
from tracker.errors import ConfigError
from tracker.sources.places import local_path
from tracker.yaml_file import compose_yaml, kind_of, value_of

BACKUPS = 20
"""Copies that are kept."""
KINDS = ("zones", "lines")
ZONES_FILE = ".zones.yaml"
"""Behind the name of a video: the cameras' file that holds what was drawn on it."""
PLAIN = re.compile(r"(?!(?:null|true|false|yes|no|on|off|y|n)\Z)[^\W\d_][\w-]*(?: [\w-]+)*", re.IGNORECASE)
"""Texts that need no quotes, whoever reads them."""
LINE_END = re.compile("\r\n|[\r\n\x85\u2028\u2029]|\\Z")
CONTENT = (
    yaml.ScalarToken,
    yaml.AliasToken,
    yaml.AnchorToken,
    yaml.TagToken,
    yaml.ValueToken,
    yaml.BlockEntryToken,
    yaml.FlowSequenceEndToken,
    yaml.FlowMappingEndToken,
)
"""Tokens that a value's text may end with."""

Items = Sequence[Mapping[str, Any]]


def zones_file(source: str) -> Path | None:
    """The file for what is drawn on a video, beside it, there yet or not; None for what is no file."""
    path = local_path(source)
    if path is None:
        return None
    with suppress(RuntimeError):  # without a home, ~ is a name as any other
        path = path.expanduser()
    return path.with_name(path.name + ZONES_FILE) if path.is_file() else None


def save_geometry(path: Path, camera: str, zones: Items, lines: Items) -> Path | None:
    """Write a camera's zones and lines into the file; the path of the copy made before, None of a file that is new.

    Raises:
        ConfigError: the file has changed, and the camera is no longer in it; or it cannot be read any more.
        ReacquireError: it cannot be written; it stays as it was.
    """
    path = Path(os.path.realpath(path))  # a link stays one, and what it names is written
    with writing(path):
        new = not path.exists() and path.name.endswith(ZONES_FILE)
        raw = _beginning(path, camera) if new else path.read_bytes()
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: no longer UTF-8 text; nothing was saved") from error
    mark = "\ufeff" if text.startswith("\ufeff") else ""
    text = mark + with_geometry(text.removeprefix(mark), camera, {"zones": zones, "lines": lines}, str(path))
    with writing(path):
        backup = None if new else _back_up(path, raw)
        _write(path, text.encode("utf-8"), like=None if new else path)
    return backup


def with_geometry(text: str, camera: str, geometry: Mapping[str, Items], name: str = "the file") -> str:
    """A YAML text in which a camera has these zones and lines, and all else says what it said before.

    Args:
        text: of a cameras' file.
        camera: its name.
        geometry: items by kind, `zones` and `lines`.
        name: what errors call the file.

    Raises:
        ConfigError: there is no such camera, or more than one; or the layout does not allow the change.
    """
    file = before = _File.of(text, name)
    wanted = copy.deepcopy(before.geometry)
    wanted[before.place_of(camera, name)] = {kind: json.loads(json.dumps(list(geometry[kind]))) for kind in KINDS}
    # Once for what was asked for, and once more for cameras that had theirs from that one by an anchor, and keep them.
    for _ in range(2):
        for index, kinds in enumerate(wanted):
            for kind, items in kinds.items():
                if file.geometry[index][kind] != items:
                    file = _put(file, index, kind, items, name)
    if (file.others, file.geometry) != (before.others, wanted):
        raise _impossible(name)
    return file.text


class _File(NamedTuple):
    """A text, where its parts are, and what it says: the zones and lines each camera ends up with, and all else."""

    text: str
    root: Any
    others: Any
    geometry: list[dict[str, Any]]

    @classmethod
    def of(cls, text: str, name: str) -> _File:
        root = compose_yaml(text, name)
        content: Any = None if root is None else value_of(root, name)
        cameras = content.get("cameras") if isinstance(content, dict) else None
        if not isinstance(cameras, list) or not all(isinstance(entry, dict) for entry in cameras):
            raise ConfigError(f"{name}: there is no list of cameras in it any more; nothing was saved")
        defaults = content.get("defaults") or {}
        if not isinstance(defaults, dict):
            raise ConfigError(f"{name}: defaults: expected keys of a camera, got {kind_of(defaults)}")
        geometry = [{kind: entry.get(kind, defaults.get(kind)) or [] for kind in KINDS} for entry in cameras]
        bare = [{key: value for key, value in entry.items() if key not in KINDS} for entry in cameras]
        return cls(text, root, content | {"cameras": bare}, geometry)

    def place_of(self, camera: str, name: str) -> int:
        """Where a camera is in the list."""
        found = [i for i, entry in enumerate(self.others["cameras"]) if str(entry.get("name")) == camera]
        if len(found) != 1:
            problem = "no longer in it" if not found else f"in it {len(found)} times"
            raise ConfigError(f"{name}: camera {camera!r} is {problem}; nothing was saved")
        return found[0]


def _put(file: _File, index: int, kind: str, items: Items, name: str) -> _File:
    """The file with one list of one camera replaced, in the first way that says just that."""
    for text in _ways(file, index, kind, items):
        with suppress(ConfigError):
            changed = _File.of(text, name)
            if changed.others == file.others and changed.geometry[index][kind] == items:
                return changed
    raise _impossible(name)


def _impossible(name: str) -> ConfigError:
    return ConfigError(
        f"{name}: zones and lines cannot be written into it in the way that it is laid out; nothing was saved: "
        "write the camera's keys on lines of their own, without anchors"
    )


def _ways(file: _File, index: int, kind: str, items: Items) -> Iterator[str]:
    """Texts with the list in them: in its old place, else behind the camera's last key, else before its first."""
    text, cameras = file.text, _pairs(file.root)["cameras"][1]
    entry = cameras.value[index]
    tokens = list(yaml.scan(text))
    newline = "\r\n" if "\r\n" in text else "\n"
    first, indent = entry.value[0][0].start_mark, None if entry.flow_style else entry.value[0][0].start_mark.column
    if kind in _pairs(entry):
        first, last = _pairs(entry)[kind][0].start_mark, _end(text, tokens, entry, kind)
        indent = None if indent is None else first.column
        block = _block(kind, items, _comments(text, tokens, first.index, last), newline, indent)
        text = _aliases_written_out(text, tokens, file.root, first.index, last)
        yield text[: first.index] + block + text[last:]
    elif indent is None:
        yield f"{text[: first.index]}{_block(kind, items, [], newline, None)}, {text[first.index :]}"
    else:
        block = _block(kind, items, [], newline, indent)
        behind = LINE_END.search(text, _end(text, tokens, entry, entry.value[-1][0].value))
        if behind is not None:
            yield f"{text[: behind.start()]}{newline}{' ' * indent}{block}{text[behind.start() :]}"
        yield text[: first.index] + block + newline + " " * indent + text[first.index :]


def _block(kind: str, items: Items, comments: list[str], newline: str, indent: int | None) -> str:
    """A key and its list: an item a line at an indent, or all on one line; then the comments that stood in it."""
    if indent is None or not items:
        rows = [f"{kind}: [{', '.join(map(_flow, items))}]"]
    else:
        rows = [f"{kind}:", *(f"{' ' * indent}  - {_flow(item)}" for item in items)]
    rows += [f"{' ' * (indent or 0)}  {comment}" for comment in comments]
    return newline.join(rows) + (newline + "  " if comments and indent is None else "")


def _pairs(mapping: Any) -> dict[str, tuple[Any, Any]]:
    """The nodes of a mapping's keys and values, by key."""
    return {key.value: (key, value) for key, value in mapping.value}


def _end(text: str, tokens: list[Any], mapping: Any, key: str) -> int:
    """Where the text of a key's value ends: without the comments behind it, which the end mark of a block has in it."""
    starts = [node.start_mark.index for node, _ in mapping.value]
    start = _pairs(mapping)[key][0].start_mark.index
    limit = min((other for other in starts if other > start), default=mapping.end_mark.index - bool(mapping.flow_style))
    last = next(t for t in reversed(tokens) if isinstance(t, CONTENT) and start <= t.start_mark.index < limit)
    end = int(last.end_mark.index)
    return len(text[:end].rstrip("\r\n ")) if getattr(last, "style", None) in ("|", ">") else end


def _comments(text: str, tokens: list[Any], first: int, last: int) -> list[str]:
    """The comments in a piece of the text: what stands between two tokens and is not white."""
    found, end = [], first
    for token in tokens:
        if end <= token.start_mark.index <= last:
            found += [line.strip() for line in text[end : token.start_mark.index].splitlines()]
        end = max(end, token.end_mark.index)
    return [line for line in found if line.startswith("#")]


def _aliases_written_out(text: str, tokens: list[Any], root: yaml.Node, first: int, last: int) -> str:
    """The text in which aliases of what is in a piece of it stand for themselves, since the piece goes."""
    named: dict[str, int | None] = {}
    written = []
    for token in tokens:
        at = token.start_mark.index
        if isinstance(token, yaml.AnchorToken):
            named[token.value] = at if first <= at < last else None
        elif isinstance(token, yaml.AliasToken) and at >= last and named.get(token.value) is not None:
            written.append((at, token.end_mark.index, named[token.value]))
    nodes = {node.start_mark.index: node for node in _nodes(root)}
    for start, end, anchor in reversed(written):
        if anchor in nodes:
            text = text[:start] + _flow(value_of(nodes[anchor], "")) + text[end:]
    return text


def _nodes(node: Any) -> Iterator[yaml.Node]:
    """All nodes; of several that begin together the outermost comes last."""
    if not isinstance(node, yaml.ScalarNode):
        for inner in node.value:
            for part in inner if isinstance(inner, tuple) else (inner,):
                yield from _nodes(part)
    yield node


def _flow(value: Any) -> str:
    """A value on one line, as any reader of YAML understands it."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_flow(key)}: {_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_flow, value)) + "]"
    if isinstance(value, str) and PLAIN.fullmatch(value):
        return value
    return json.dumps(value, ensure_ascii=False)


def _beginning(path: Path, camera: str) -> bytes:
    """A cameras' file for one video, which lies beside it."""
    video = path.name.removesuffix(ZONES_FILE)
    head = f"# What was drawn on the page of `reacquire live` for {_flow(video)}; read again when it is opened again.\n"
    return f"{head}cameras:\n  - name: {_flow(camera)}\n    source: {_flow(video)}\n".encode()


def _back_up(path: Path, content: bytes) -> Path:
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    backup = path.with_name(f"{path.name}.{stamp}.bak")
    _write(backup, content, like=path)
    shutil.copystat(path, backup)
    begin = f"{path.name}."
    old = [found for found in path.parent.iterdir() if found.name.startswith(begin) and found.name.endswith("Z.bak")]
    for one in sorted(old)[:-BACKUPS]:
        one.unlink()
    return backup


def _write(path: Path, content: bytes, *, like: Path | None) -> None:
    """Let a whole file take a name; before it is whole nobody else can read it, then who may read `like`."""
    with replacing(path, mode=0o666 if like is None else 0o600) as partial:
        partial.write_bytes(content)
        if like is not None:
            _belong(partial, like.stat())


def _belong(path: Path, like: os.stat_result) -> None:
    """Give a file the owner and the mode of another; where its group cannot be had, nothing to the group."""
    mode = stat.S_IMODE(like.st_mode)
    try:
        os.chown(path, like.st_uid, like.st_gid)
    except PermissionError:
        try:
            os.chown(path, -1, like.st_gid)
        except PermissionError:
            mode &= ~0o070
    path.chmod(mode)
