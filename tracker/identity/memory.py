"""One object's life across gaps and cameras: tracklets in, identities out."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from reid.calibration import Calibration
from tracker.errors import DataError
from tracker.identity import changes, decision
from tracker.identity.changes import Change
from tracker.identity.decision import SURE, Answer, Weighed
from tracker.identity.embedder import KnownEmbedder, known_embedder
from tracker.identity.evidence import Evidence, Views
from tracker.identity.keeping import redundant
from tracker.identity.prior import stated_odds
from tracker.identity.review import Limits, judge, select
from tracker.identity.settings import MemorySettings, SiteSettings
from tracker.identity.store import Batch, IdentityStore, NoStore, Record
from tracker.identity.table import NONE, Cameras, Table
from tracker.identity.tracklet import Key, Tracklet
from tracker.identity.travel import TravelTimes

Int64 = NDArray[np.int64]
DAY = 86_400.0
GROWTH = 32
"""With so many times `review_tracklets` remembered, reviews become rarer in proportion, so that their cost for each
tracklet stays the same."""


class IdentityMemory:
    """Knows tracklets again, within a camera and across cameras.

    A newcomer is compared with all tracklets of its class. It is somebody who is remembered, or somebody new, when
    that is surer than 9 to 1; otherwise this stays open until a review, which judges many tracklets together. Reviews
    come by themselves, by the stream's own time and numbers: the same tracklets get the same identities everywhere.

    One thread at a time is served, the others wait.

    Args:
        store: where things outlive the process; it is closed with the memory.
        embedder: what distances of embeddings mean.
        site: which cameras may show one object at once. If it is None, travel times learn whether they do.
        settings: of remembering.
    """

    def __init__(
        self,
        store: IdentityStore | None = None,
        *,
        embedder: KnownEmbedder | None = None,
        site: SiteSettings | None = None,
        settings: MemorySettings | None = None,
    ) -> None:
        self.settings = settings or MemorySettings()
        self._store = store or NoStore()
        self._embedder = embedder or KnownEmbedder(Calibration.unknown(), "")
        cameras = Cameras()
        self._table, self._retired = Table(cameras), Table(cameras)
        self._evidence = Evidence(self._embedder.calibration, TravelTimes.unknown(), _views(site, cameras))
        self._names: dict[int, str] = {}
        self._bar: float | None = None
        self._next_identity = self._next_change = 1
        self._now, self._reviewed = -np.inf, np.inf
        self._unreviewed = 0
        self._lock = threading.RLock()
        self.set_aside = 0
        """Tracklets whose embeddings are another network's; they keep their identities and are compared with nobody."""
        self._restore()

    @classmethod
    def open(
        cls,
        path: str | Path = ":memory:",
        *,
        embedder: str | Path | Calibration | None = "default",
        site: SiteSettings | None = None,
        settings: MemorySettings | None = None,
    ) -> Self:
        """A memory in a file.

        Args:
            path: of it, made when it is not there; or `:memory:`, for one that ends with the process.
            embedder: what the embeddings come from: "default" (bundled), a weights file or a calibration as JSON. None:
                nothing is known of it, and looks are no evidence.
            site: which cameras may show one object at once.
            settings: of remembering.

        Raises:
            WeightsError: the embedder's file is missing or damaged.
            DataError: the file is no memory, or a damaged one.
            ReacquireError: another process has it open, or it cannot be written.
        """
        known = known_embedder(embedder)
        store: IdentityStore
        if str(path) == ":memory:":
            store = NoStore()
        else:
            from tracker.identity.sqlite_store import SqliteStore

            store = SqliteStore(Path(path))
        try:
            return cls(store, embedder=known, site=site, settings=settings)
        except BaseException:
            store.close()
            raise

    def observe(self, tracklet: Tracklet) -> Answer:
        """Take a tracklet in, or what is new of one that is known, and say whose it is.

        Tracklets come roughly in the order of time, at their ends or while they go on. When this returns, the
        tracklet and its answer are kept.

        Raises:
            DataError: embeddings of another size than those that are remembered.
        """
        with self._lock:
            due = tracklet.end > self._now and self._due(tracklet.end)
            self._now = max(self._now, tracklet.end)
            if due:
                self.review()
            self._reviewed = min(self._reviewed, self._now)
            row, known = self._put(tracklet)
            self._unreviewed += not known
            tracklet = self._table.tracklet(row)
            facts, log = self._table.rows, self._part(row) if known else []
            answer = self._answer(row)
            if facts["identity"][row] == NONE and answer.identity is not None:
                facts["identity"][row] = answer.identity
                self._next_identity = max(self._next_identity, answer.identity + 1)
            record = Record(tracklet, int(facts["identity"][row]), self._embedder.sha256)
            others = {key: NONE for change in log for key in change.tracklets if key != tracklet.key}
            self._store.write(Batch(records=(record,), identities=others, changes=tuple(log)))
            return answer

    def review(self) -> list[Change]:
        """Judge anew who is who, and let go what is older than is remembered.

        Returns:
            What changed: tracklets that were given an identity, identities that were merged or split.
        """
        with self._lock:
            gone = self._let_go()
            self._reviewed, self._unreviewed = self._now, 0
            rows = np.flatnonzero(np.isin(self._table.rows["class_id"], self.settings.classes))
            log: list[Change] = []
            if len(rows):
                nodes = select(self._table, rows, np.unique(self._retired.rows["identity"]), Limits())
                found = judge(self._table, self._retired, nodes, self._evidence)
                new = changes.new_identities(self._table, found, self._next_identity)
                log = changes.apply(self._table, self._retired, nodes, new, self._now, self._next_change)
                self._next_identity = max(self._next_identity, int(new.max(initial=0)) + 1)
                self._bar, self._evidence = found.bar, replace(self._evidence, travel=found.travel)
            self._next_change += len(log)
            retired = self._retire()
            self._rename(log)
            moved = {key: change.target or NONE for change in log for key in change.tracklets}
            self._store.write(
                Batch(
                    records=retired,
                    identities=moved,
                    removed=gone,
                    names={c.source: "" for c in log if c.kind == "merged" and c.source is not None},
                    changes=tuple(log),
                    state=self._state(),
                )
            )
            return log

    def identity_of(self, camera: str, track: int) -> int | None:
        """What a track is now; None while that is open.

        Raises:
            DataError: there is no such tracklet, or no longer.
        """
        with self._lock:
            table, row = self._find((camera, track))
            return int(table.rows["identity"][row]) or None

    def explain(self, camera: str, track: int) -> Answer:
        """Why a track is who it is, by what is known now: the identities that it may be, its own among them.

        Raises:
            DataError: there is no such tracklet, or nothing of its looks is kept any more.
        """
        with self._lock:
            table, row = self._find((camera, track))
            if table is self._retired:
                raise DataError(f"track {track} of camera {camera!r}: only who it is is still known, not why")
            return self._answer(row)

    def identities(self) -> dict[int, tuple[Key, ...]]:
        """Tracklets of every identity, by time."""
        with self._lock:
            found: dict[int, list[tuple[float, Key]]] = {}
            for table in (self._table, self._retired):
                for row, identity in enumerate(table.rows["identity"].tolist()):
                    if identity != NONE:
                        tracklet = table.tracklet(row)
                        found.setdefault(identity, []).append((tracklet.begin, tracklet.key))
            return {identity: tuple(key for _, key in sorted(found[identity])) for identity in sorted(found)}

    def changes(self, after: int = 0) -> list[Change]:
        """The log of reviews, from the first change with a higher number on."""
        return self._store.changes(after)

    def forget(self, identity: int) -> None:
        """Let an identity go, with all its tracklets; the store keeps no byte of them.

        Raises:
            DataError: there is no such identity.
        """
        with self._lock:
            keys = self.identities().get(identity)
            if keys is None:
                raise DataError(f"identity {identity}: there is none; nothing was forgotten")
            for table in (self._table, self._retired):
                table.keep(table.rows["identity"] != identity)
            self._names.pop(identity, None)
            change = Change(self._next_change, self._now, "forgotten", identity, None, ())
            self._next_change += 1
            self._store.write(Batch(removed=keys, names={identity: ""}, changes=(change,), state=self._state()))
            self._store.erase()

    def name(self, identity: int, text: str) -> None:
        """Give an identity a name; an empty one takes it away.

        Raises:
            DataError: there is no such identity.
        """
        with self._lock:
            if identity not in self.identities():
                raise DataError(f"identity {identity}: there is none to be named")
            self._names[identity] = text
            self._store.write(Batch(names={identity: text}))

    @property
    def names(self) -> dict[int, str]:
        """Names that were given."""
        return {identity: name for identity, name in self._names.items() if name}

    def close(self) -> None:
        """Let go of the store."""
        with self._lock:
            self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _find(self, key: Key) -> tuple[Table, int]:
        for table in (self._table, self._retired):
            row = table.find(key)
            if row is not None:
                return table, row
        raise DataError(f"track {key[1]} of camera {key[0]!r}: no such tracklet is remembered")

    def _put(self, tracklet: Tracklet) -> tuple[int, bool]:
        """Have a tracklet in the table; its row, and whether something of it was known."""
        old = self._table.find(tracklet.key)
        if old is not None:
            return self._table.put(self._table.tracklet(old).continued(tracklet)), True
        gone = self._retired.find(tracklet.key)
        if gone is None:
            return self._table.put(tracklet), False
        identity = int(self._retired.rows["identity"][gone])
        row = self._table.put(self._retired.tracklet(gone).continued(tracklet), identity)
        self._retired.keep(np.arange(len(self._retired)) != gone)
        return row, True

    def _due(self, time: float) -> bool:
        """Whether there is reason for a review before what happens at this time."""
        if not self._unreviewed:
            return False
        enough = max(self.settings.review_tracklets, len(self._table) / GROWTH)
        return self._unreviewed >= enough or time - self._reviewed > self.settings.review_seconds

    def _part(self, row: int) -> list[Change]:
        """Of a tracklet that went on: it cannot be who is somewhere else meanwhile; the later one is open again."""
        facts = self._table.rows
        identity = facts["identity"][row]
        if identity == NONE:
            return []
        against = self._evidence.forbidden(self._table, np.array([row]))[0] & (facts["identity"] == identity)
        against[row] = False
        later = against & (facts["begin"] >= facts["begin"][row])
        losers = np.flatnonzero(later)
        if (against & ~later).any() or self._retired_conflicts(row, int(identity)):
            losers = np.append(losers, row)
        if not len(losers):
            return []
        facts["identity"][losers] = NONE
        keys = tuple(sorted(self._table.tracklet(int(loser)).key for loser in losers))
        change = Change(self._next_change, self._now, "opened", int(identity), None, keys)
        self._next_change += 1
        self._unreviewed += 1
        return [change]

    def _weigh(self, row: int) -> tuple[Weighed, float]:
        """A row against all others, and what is held against each of their identities."""
        rows, this = self._table.rows, np.array([row])
        bar = -stated_odds(int((rows["class_id"] == rows["class_id"][row]).sum())) if self._bar is None else self._bar
        terms = self._evidence.terms(self._table, this)[:, 0]
        forbidden = self._evidence.forbidden(self._table, this)[0]
        forbidden[row] = False
        identity = rows["identity"].copy()
        identity[row] = NONE
        elsewhere = self._retired_at(row)
        if len(elsewhere):
            forbidden |= np.isin(identity, elsewhere)
        return decision.weigh(terms, identity, forbidden, bar), bar

    def _answer(self, row: int) -> Answer:
        """What is said of a row: the identity that it has, or what the evidence suffices for."""
        rows = self._table.rows
        if rows["class_id"][row] not in self.settings.classes:
            return Answer(None, 0.0, (), f"the embedder knows nothing of class {rows['class_id'][row]}")
        weighed, bar = self._weigh(row)
        shown = decision.candidates(weighed, bar)
        identity: int | None = int(rows["identity"][row]) or None
        if identity is None:
            if weighed.new >= SURE:
                identity = self._next_identity
            elif shown[0].probability >= SURE:
                identity = shown[0].identity
        return Answer(identity, weighed.new, shown, decision.sentence(identity, shown, weighed.new))

    def _retired_at(self, row: int) -> Int64:
        """Identities that were seen elsewhere, or in the same camera, while this row was, by what only is kept so."""
        if not len(self._retired):
            return np.empty(0, np.int64)
        rows, here = self._retired.rows, self._table.rows
        together = (rows["begin"] <= here["end"][row]) & (here["begin"][row] <= rows["end"])
        at = np.flatnonzero(together)
        exclusive = self._evidence.views.exclusive(rows["camera"][at], np.full(len(at), here["camera"][row]))
        return np.unique(rows["identity"][at[exclusive]])

    def _retired_conflicts(self, row: int, identity: int) -> bool:
        return identity in self._retired_at(row)

    def _let_go(self) -> tuple[Key, ...]:
        """Forget what ended too long ago; its keys."""
        gone: list[Key] = []
        for table in (self._table, self._retired):
            kept = table.rows["end"] >= self._now - self.settings.keep_days * DAY
            if not kept.all():
                gone += [table.tracklet(int(row)).key for row in np.flatnonzero(~kept)]
                table.keep(kept)
        return tuple(gone)

    def _retire(self) -> tuple[Record, ...]:
        """Keep of identities with many tracklets only who was where of those that say least."""
        rows = redundant(self._table, self.settings.budget)
        if not len(rows):
            return ()
        kept = np.ones(len(self._table), bool)
        kept[rows] = False
        records = []
        for row in rows.tolist():
            identity = int(self._table.rows["identity"][row])
            bare = _without_looks(self._table.tracklet(row))
            self._retired.put(bare, identity)
            records.append(Record(bare, identity, self._embedder.sha256, retired=True))
        self._table.keep(kept)
        return tuple(records)

    def _rename(self, log: list[Change]) -> None:
        """A union keeps the name that its one part had."""
        for change in log:
            if change.kind == "merged" and change.source is not None and change.target is not None:
                name = self._names.pop(change.source, "")
                if name and not self._names.get(change.target):
                    self._names[change.target] = name

    def _state(self) -> dict[str, Any]:
        return {
            "next_identity": self._next_identity,
            "next_change": self._next_change,
            "bar": self._bar,
            "now": self._now if np.isfinite(self._now) else None,
            "reviewed": self._reviewed if np.isfinite(self._reviewed) else None,
            "cameras": list(self._table.cameras.names),
            "travel": self._evidence.travel.as_plain(),
        }

    def _restore(self) -> None:
        """Be as it was when the store was closed."""
        contents = self._store.load()
        state = contents.state
        for camera in state.get("cameras", ()):
            self._table.cameras.number_of(camera)
        self._names = contents.names
        for tracklet, identity, embedder, retired in contents.records:
            known = embedder == self._embedder.sha256
            self.set_aside += not known
            bare = not known or retired
            table = self._retired if bare else self._table
            table.put(_without_looks(tracklet) if bare else tracklet, identity)
            self._now = max(self._now, tracklet.end)
            self._next_identity = max(self._next_identity, identity + 1)
        self._next_identity = max(self._next_identity, state.get("next_identity", 1))
        self._next_change = state.get("next_change", 1)
        self._bar = state.get("bar")
        if state.get("reviewed") is not None:
            self._reviewed = state["reviewed"]
        if "travel" in state:
            self._evidence = replace(self._evidence, travel=TravelTimes.from_plain(state["travel"]))


def _without_looks(tracklet: Tracklet) -> Tracklet:
    return replace(tracklet, embeddings=tracklet.embeddings[:0], quality=np.empty(0))


def _views(site: SiteSettings | None, cameras: Cameras) -> Views:
    if site is None:
        return Views()
    for name in site.cameras:
        cameras.number_of(name)
    pairs = frozenset((cameras.number_of(a), cameras.number_of(b)) for a, b in site.overlap)
    return Views(pairs, declared=True)
