"""Where identities outlive a process: what any store does, and one that keeps nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from tracker.identity.changes import Change
from tracker.identity.tracklet import Key, Tracklet


class Record(NamedTuple):
    """A tracklet as it is kept.

    Attributes:
        tracklet: with at most eight embeddings.
        identity: 0 for none.
        embedder: hash of the weights that its embeddings are of.
        retired: whether only is kept who was where.
    """

    tracklet: Tracklet
    identity: int
    embedder: str
    retired: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What is written together: all of it, or nothing.

    Attributes:
        records: new ones, and others of keys that are there, which they replace.
        identities: by keys that are there, their new identities; 0 for none.
        removed: keys that are no longer kept.
        names: of identities; an empty one takes the name away.
        changes: for the log.
        state: of the memory: what it learned, and its counters; replaces what was there.
    """

    records: tuple[Record, ...] = ()
    identities: Mapping[Key, int] = field(default_factory=dict)
    removed: tuple[Key, ...] = ()
    names: Mapping[int, str] = field(default_factory=dict)
    changes: tuple[Change, ...] = ()
    state: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Contents:
    """All that a store has, but the log.

    Attributes:
        records: in the order in which they first came.
        names: of identities.
        state: the last one; empty at first.
    """

    records: list[Record]
    names: dict[int, str]
    state: dict[str, Any]


class IdentityStore(Protocol):
    """Keeps what a memory knows. One memory writes to it, at one time from one thread."""

    def load(self) -> Contents:
        """All that is kept."""

    def write(self, batch: Batch) -> None:
        """Keep a batch; when this returns, it outlives the process."""

    def changes(self, after: int = 0) -> list[Change]:
        """The log, from the first change with a higher number on."""

    def erase(self) -> None:
        """See to it that nothing is left of what was removed."""

    def close(self) -> None:
        """Let go; nothing is written afterwards."""


class NoStore:
    """Keeps things as long as it lives: `:memory:`."""

    def __init__(self) -> None:
        self._records: dict[Key, Record] = {}
        self._names: dict[int, str] = {}
        self._changes: list[Change] = []
        self._state: dict[str, Any] = {}

    def load(self) -> Contents:
        """All that is kept."""
        return Contents(list(self._records.values()), dict(self._names), dict(self._state))

    def write(self, batch: Batch) -> None:
        """Keep a batch."""
        for record in batch.records:
            self._records[record.tracklet.key] = record
        for key, identity in batch.identities.items():
            self._records[key] = self._records[key]._replace(identity=identity)
        for key in batch.removed:
            self._records.pop(key, None)
        self._names |= batch.names
        self._names = {identity: name for identity, name in self._names.items() if name}
        self._changes += batch.changes
        if batch.state is not None:
            self._state = dict(batch.state)

    def changes(self, after: int = 0) -> list[Change]:
        """The log, from the first change with a higher number on."""
        return [change for change in self._changes if change.number > after]

    def erase(self) -> None:
        """Nothing is left of what was removed."""

    def close(self) -> None:
        """Let go."""
