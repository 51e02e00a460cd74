"""YAML as settings are written in it: plain values only, bounded, each key once.

The rules for values are those of YAML 1.2: `true` and `false` are the only truth values, `0o17` is octal, and texts
such as `no`, `1:30`, `2024-01-01` or `007` stay texts, where YAML 1.1 makes them something that nobody wrote.
Anchors, aliases and merge keys work, but cannot multiply a small file into a large value.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import yaml
from yaml.composer import Composer
from yaml.constructor import BaseConstructor
from yaml.parser import Parser
from yaml.reader import Reader, ReaderError
from yaml.resolver import BaseResolver
from yaml.scanner import Scanner

from tracker.errors import ConfigError

LARGEST = 1 << 20
"""Bytes of a file."""
EXPANDED = 2 * LARGEST
"""Characters and values once every alias is written out."""
DEEPEST = 64
"""Levels of lists and mappings in one another, once every alias is written out."""

TAG = "tag:yaml.org,2002:"
FORMS = {
    "null": r"~|null|Null|NULL|",
    "bool": r"true|True|TRUE|false|False|FALSE",
    "int": r"[-+]?(?:0|[1-9][0-9]{0,17})|0o[0-7]{1,20}|0x[0-9a-fA-F]{1,15}",
    "float": r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
    "merge": r"<<",
}
LEADING_ZERO = re.compile(r"[-+]?0[0-9]+")
LONG = re.compile(r"[-+]?[0-9]{19,}")


class _Refusal(yaml.MarkedYAMLError):
    """What these rules forbid, in words that are ours."""

    def __init__(self, problem: str, mark: Any) -> None:
        super().__init__(problem=problem, problem_mark=mark)


class _Loader(Reader, Scanner, Parser, Composer, BaseConstructor, BaseResolver):
    """Refuses, before any value is made, what is too large, too deep, recursive, or a key twice."""

    yaml_constructors: ClassVar[dict[Any, Any]] = {}
    yaml_implicit_resolvers: ClassVar[dict[Any, Any]] = {}  # type: ignore[misc]

    def __init__(self, text: str) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)
        Composer.__init__(self)
        BaseConstructor.__init__(self)
        BaseResolver.__init__(self)
        self._depth = self._size = self._height = 0
        self._known: dict[str | None, tuple[int, int]] = {}  # size and height of what has an anchor and is whole

    def resolve(self, kind: Any, value: Any, implicit: Any) -> Any:
        if kind is yaml.ScalarNode and implicit[0] and (LEADING_ZERO.fullmatch(value) or LONG.fullmatch(value)):
            return TAG + "str"  # an identifier, a password: as a number it would lose what was written
        return super().resolve(kind, value, implicit)  # type: ignore[no-untyped-call]

    def fetch_flow_collection_start(self, kind: Any) -> None:
        """Refuse a bracket too many here: the scanner looks ahead, at a cost of the square of the depth."""
        if self.flow_level >= DEEPEST:
            raise _Refusal(f"nested deeper than {DEEPEST} levels", self.get_mark())
        super().fetch_flow_collection_start(kind)

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Count what it holds before it is made; of an alias, all that it stands for."""
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent) and event.anchor not in self._known:
            problem = "an alias stands in what it names" if event.anchor in self.anchors else "an alias names no anchor"
            raise _Refusal(f"{problem}; a text that begins with * needs quotes", event.start_mark)
        before, height = self._size, 0
        if isinstance(event, yaml.AliasEvent):
            size, height = self._known[event.anchor]
            self._size += size
        else:
            self._size += 1 + len(getattr(event, "value", ""))
        if self._size > EXPANDED:
            raise _Refusal("too large, once its aliases are written out", event.start_mark)
        if self._depth + height > DEEPEST:
            raise _Refusal(f"nested deeper than {DEEPEST} levels", event.start_mark)
        self._depth += 1
        outer, self._height = self._height, 0
        node = super().compose_node(parent, index)
        height = max(height, self._height)
        self._depth -= 1
        self._height = max(outer, height + 1)
        if not isinstance(event, yaml.AliasEvent) and event.anchor is not None:
            self._known[event.anchor] = self._size - before, height
        return node

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node: yaml.MappingNode = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise _Refusal("a key must be one word, not a list or mapping", key.start_mark)
            if (key.tag, key.value) in seen:
                raise _Refusal(f"key {shown_key(key.value)} is there twice", key.start_mark)
            seen.add((key.tag, key.value))
        return node

    def compose_scalar_node(self, anchor: Any) -> yaml.ScalarNode:
        node: yaml.ScalarNode = super().compose_scalar_node(anchor)
        odd = re.search(r"[\0\ud800-\udfff]", node.value)
        if odd:
            problem = f"the character U+{ord(odd[0]):04X} is not allowed"
            raise _Refusal(problem, node.start_mark)
        return node

    def plain(self, node: yaml.ScalarNode) -> Any:
        """The value of a scalar, by its tag."""
        kind, text = node.tag.removeprefix(TAG), node.value
        if re.fullmatch(FORMS[kind], text) is None:
            raise _Refusal(f"not of the type that !!{kind} asks for", node.start_mark)
        if kind == "null":
            return None
        if kind == "bool":
            return text.lower() == "true"
        if kind == "int":
            return int(text, 0)
        return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))

    def list_of(self, node: yaml.SequenceNode) -> list[Any]:
        """The value of a list."""
        return [self.construct_object(item, deep=True) for item in node.value]

    def mapping(self, node: yaml.MappingNode) -> dict[Any, Any]:
        """The value of a mapping: its own keys win over merged ones, and of several merged ones the first."""
        own: dict[Any, Any] = {}
        merged: dict[Any, Any] = {}
        for key, value in node.value:
            if key.tag != TAG + "merge":
                own[self.construct_object(key)] = self.construct_object(value, deep=True)
                continue
            for part in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                if not isinstance(part, yaml.MappingNode):
                    raise _Refusal("<< merges a mapping, or a list of them", key.start_mark)
                merged = self.construct_object(part, deep=True) | merged
        return merged | own

    def unknown(self, node: yaml.Node) -> Any:
        """A tag that means nothing here, such as those that would make objects."""
        problem = "a tag (!…) that means nothing here; a text that begins with ! needs quotes"
        raise _Refusal(problem, node.start_mark)


for _kind, _form in FORMS.items():
    _Loader.add_implicit_resolver(TAG + _kind, re.compile(rf"(?:{_form})\Z"), None)
_Loader.yaml_constructors |= {TAG + kind: _Loader.plain for kind in ("null", "bool", "int", "float")}
_Loader.yaml_constructors |= {
    None: _Loader.unknown,
    TAG + "str": _Loader.construct_scalar,
    TAG + "seq": _Loader.list_of,
    TAG + "map": _Loader.mapping,
}


def parse_yaml(text: str, name: str) -> Any:
    """The value that one document of YAML says; None where it says nothing.

    Args:
        text: the document.
        name: what errors call it.

    Raises:
        ConfigError: not YAML, too large or deep, a key twice, a tag; names the line, and shows nothing of the values,
            which may be secrets.
    """
    with _said(text, name):
        return _Loader(text).get_single_data()


def compose_yaml(text: str, name: str) -> yaml.Node | None:
    """The same as a tree of nodes, which know where in the text they are written.

    Raises:
        ConfigError: as `parse_yaml`.
    """
    with _said(text, name):
        node: yaml.Node | None = _Loader(text).get_single_node()
        return node


def value_of(node: yaml.Node, name: str) -> Any:
    """The value that a composed node says.

    Raises:
        ConfigError: as `parse_yaml`.
    """
    with _said("", name):
        return _Loader("").construct_document(node)


@contextmanager
def _said(text: str, name: str) -> Generator[None]:
    """Say what is wrong with a text in our words, and where."""
    try:
        yield
        return
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        problem = f"the character U+{ord(text[error.position]):04X} is not allowed"
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        words = [word for word in (error.context, error.problem) if word]
        problem = ", ".join(words) if isinstance(error, _Refusal) else _without_values(", ".join(words))
    raise ConfigError(f"{name}, line {line}: {problem}")


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML file's mapping.

    Raises:
        ConfigError: unreadable, larger than `LARGEST`, not YAML (names the line), a key twice, or not a mapping.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(LARGEST + 1)
        if len(raw) > LARGEST:
            raise ConfigError(f"{path}: larger than {LARGEST >> 20} MiB, which no file of settings is")
        text = raw.decode("utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path}, line {line}: not UTF-8 text") from None
    content = parse_yaml(text, str(path))
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: expected `key: value` lines, got {kind_of(content)}")
    return content


def kind_of(value: object) -> str:
    """What kind of thing a value is, as somebody who writes YAML knows it."""
    if value is None:
        return "nothing"
    kinds = {bool: "true or false", int: "a number", float: "a number", str: "a text", list: "a list", tuple: "a list"}
    kind = str if isinstance(value, str) else type(value)
    return kinds.get(kind, "keys and values" if isinstance(value, dict) else kind.__name__)


def shown_key(key: object) -> str:
    """A key for an error: only what looks like one, since a slip of the pen makes a key of a secret."""
    text = str(key)
    return repr(text) if re.fullmatch(r"[A-Za-z_][\w.-]{0,40}", text) else "with odd characters"


def _without_values(problem: str) -> str:
    """PyYAML's words without the texts of the file that it quotes; single characters and its own <tokens> stay."""

    def shown(quoted: re.Match[str]) -> str:
        inner = quoted[0][1:-1]
        return quoted[0] if len(inner) <= 2 or inner.startswith("<") else "…"

    return re.sub(r"'[^']*'|\"[^\"]*\"", shown, problem)
