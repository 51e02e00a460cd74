"""Identities in one file: SQLite, for one process at a time."""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracker.errors import DataError, ReacquireError
from tracker.identity.changes import Change
from tracker.identity.store import Batch, Contents, Record
from tracker.identity.tracklet import Tracklet

APPLICATION = 0x52454151
"""Marks the file as one of ours (SQLite's application_id): "REAQ"."""
SCHEMA = """
CREATE TABLE tracklet (
    camera TEXT NOT NULL, track INTEGER NOT NULL, since REAL NOT NULL, until REAL NOT NULL, class_id INTEGER NOT NULL,
    identity INTEGER NOT NULL, embedder TEXT NOT NULL, retired INTEGER NOT NULL,
    dimension INTEGER NOT NULL, embeddings BLOB NOT NULL, quality BLOB NOT NULL, first_xyxy BLOB, last_xyxy BLOB,
    UNIQUE (camera, track)
);
CREATE INDEX tracklet_identity ON tracklet (identity);
CREATE TABLE name (identity INTEGER PRIMARY KEY, text TEXT NOT NULL);
CREATE TABLE change (
    number INTEGER PRIMARY KEY, time REAL NOT NULL, kind TEXT NOT NULL, source INTEGER, target INTEGER,
    tracklets TEXT NOT NULL
);
CREATE TABLE state (id INTEGER PRIMARY KEY CHECK (id = 1), content TEXT NOT NULL);
"""
MIGRATIONS: tuple[Callable[[sqlite3.Connection], None], ...] = ()
"""From schema 1 on, what makes the next one of it."""
VERSION = 1 + len(MIGRATIONS)
COLUMNS = (
    "camera, track, since, until, class_id, identity, embedder, retired, dimension, embeddings, quality, first_xyxy, "
    "last_xyxy"
)


class SqliteStore:
    """Tracklets, identities and their log in a file.

    It is written ahead (WAL), so that what was acknowledged outlives a killed process, and what is deleted is
    overwritten (`secure_delete`). Embeddings are float16. A second process is refused: it holds a lock beside the file,
    which ends with the process.

    Args:
        path: of the file; it is made when there is none.

    Raises:
        ReacquireError: another process has it open, or it cannot be read or written.
        DataError: it is no file of ours, damaged, or of a later version.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = _locked(path)
        try:
            with self._telling():
                self._database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
                try:
                    self._prepare()
                except BaseException:
                    self._database.close()
                    raise
        except BaseException:
            os.close(self._lock)
            raise

    def load(self) -> Contents:
        """All that is kept."""
        with self._telling():
            rows = self._database.execute(f"SELECT {COLUMNS} FROM tracklet ORDER BY rowid").fetchall()
            names = dict(self._database.execute("SELECT identity, text FROM name"))
            state = self._database.execute("SELECT content FROM state").fetchone()
        try:
            return Contents([_record(row) for row in rows], names, json.loads(state[0]) if state else {})
        except (ValueError, TypeError) as error:
            raise DataError(f"{self.path}: damaged ({error}); take a backup") from error

    def write(self, batch: Batch) -> None:
        """Keep a batch; when this returns, it outlives the process."""
        with self._telling(), self._transaction() as cursor:
            marks = ", ".join("?" * (1 + COLUMNS.count(",")))
            cursor.executemany(
                f"INSERT INTO tracklet ({COLUMNS}) VALUES ({marks}) ON CONFLICT (camera, track) DO UPDATE SET "
                + ", ".join(f'"{c}" = excluded."{c}"' for c in COLUMNS.split(", ")[2:]),
                [_row(record) for record in batch.records],
            )
            cursor.executemany(
                "UPDATE tracklet SET identity = ? WHERE camera = ? AND track = ?",
                [(identity, *key) for key, identity in batch.identities.items()],
            )
            cursor.executemany("DELETE FROM tracklet WHERE camera = ? AND track = ?", batch.removed)
            cursor.executemany(
                "INSERT INTO name VALUES (?, ?) ON CONFLICT (identity) DO UPDATE SET text = excluded.text",
                list(batch.names.items()),
            )
            cursor.execute("DELETE FROM name WHERE text = ''")
            cursor.executemany(
                "INSERT INTO change VALUES (?, ?, ?, ?, ?, ?)",
                [(c.number, c.time, c.kind, c.source, c.target, json.dumps(c.tracklets)) for c in batch.changes],
            )
            if batch.state is not None:
                content = json.dumps(batch.state)
                cursor.execute(
                    "INSERT INTO state VALUES (1, ?) ON CONFLICT (id) DO UPDATE SET content = excluded.content",
                    (content,),
                )

    def changes(self, after: int = 0) -> list[Change]:
        """The log, from the first change with a higher number on."""
        with self._telling():
            rows = self._database.execute("SELECT * FROM change WHERE number > ? ORDER BY number", (after,)).fetchall()
        return [
            Change(
                number, time, kind, source, target, tuple((camera, track) for camera, track in json.loads(tracklets))
            )
            for number, time, kind, source, target, tracklets in rows
        ]

    def erase(self) -> None:
        """See to it that no byte of what was removed is in the file or in what is written ahead of it."""
        with self._telling():
            self._checkpoint()
            self._database.execute("VACUUM")
            self._checkpoint()

    def close(self) -> None:
        """Let go; a second time does nothing."""
        if self._lock >= 0:
            self._database.close()
            os.close(self._lock)
            self._lock = -1

    def _prepare(self) -> None:
        """Make the file, or bring an older one up to date."""
        run = self._database.execute
        (version,), (application,) = run("PRAGMA user_version").fetchone(), run("PRAGMA application_id").fetchone()
        new = not run("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if not new and application != APPLICATION:
            raise DataError(f"{self.path}: a database of something else; name a new file")
        if not new and not 1 <= version <= VERSION:
            raise DataError(
                f"{self.path}: of schema {version}, and this version knows up to {VERSION}; update reacquire"
            )
        for setting in ("secure_delete = ON", "journal_mode = WAL", "synchronous = NORMAL"):
            run(f"PRAGMA {setting}").fetchall()
        if new:
            with self._transaction():
                for statement in SCHEMA.split(";"):
                    run(statement)
                run(f"PRAGMA application_id = {APPLICATION}")
                run(f"PRAGMA user_version = {VERSION}")
            return
        for number, migrate in enumerate(MIGRATIONS[version - 1 :], version + 1):
            with self._transaction():
                migrate(self._database)
                run(f"PRAGMA user_version = {number}")

    def _checkpoint(self) -> None:
        busy, *_ = self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if busy:
            raise ReacquireError(
                f"{self.path}: something reads it, so that what was deleted is still in {self.path.name}-wal; close it "
                "and try again"
            )

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Cursor]:
        with closing(self._database.cursor()) as cursor:
            cursor.execute("BEGIN IMMEDIATE")
            try:
                yield cursor
                cursor.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):  # a full disk has rolled back by itself
                    cursor.execute("ROLLBACK")
                raise

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Errors of SQLite as ours."""
        try:
            yield
        except sqlite3.OperationalError as error:
            raise ReacquireError(f"{self.path}: cannot be read or written ({error})") from error
        except sqlite3.DatabaseError as error:
            raise DataError(f"{self.path}: no memory of identities, or damaged ({error})") from error


def _locked(path: Path) -> int:
    """A descriptor that holds the lock of a store.

    Raises:
        ReacquireError: another process has it, or there is no such folder.
    """
    try:
        descriptor = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ReacquireError(f"{path}: cannot be opened ({error.strerror})") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    except BlockingIOError as error:
        who = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip()
        os.close(descriptor)
        raise ReacquireError(f"{path}: process {who} has these identities open; end it first") from error
    except BaseException:
        os.close(descriptor)
        raise
    os.chmod(path, 0o600) if path.exists() else path.touch(0o600)
    return descriptor


def _row(record: Record) -> tuple[Any, ...]:
    tracklet = record.tracklet
    return (
        tracklet.camera,
        tracklet.track,
        tracklet.begin,
        tracklet.end,
        tracklet.class_id,
        record.identity,
        record.embedder,
        int(record.retired),
        tracklet.embeddings.shape[1],
        np.asarray(tracklet.embeddings, "<f2").tobytes(),
        np.asarray(tracklet.quality, "<f4").tobytes(),
        *(
            None if box is None else np.asarray(box, "<f4").tobytes()
            for box in (tracklet.first_xyxy, tracklet.last_xyxy)
        ),
    )


def _record(row: Iterable[Any]) -> Record:
    camera, track, begin, end, class_id, identity, embedder, retired, dimension, embeddings, quality, first, last = row
    vectors: NDArray[np.float16] = (
        np.frombuffer(embeddings, "<f2").reshape(-1, dimension) if dimension else np.zeros((0, 0), np.float16)
    )
    tracklet = Tracklet(
        camera=camera,
        track=track,
        begin=begin,
        end=end,
        embeddings=vectors,
        quality=np.frombuffer(quality, "<f4"),
        class_id=class_id,
        first_xyxy=None if first is None else np.frombuffer(first, "<f4"),
        last_xyxy=None if last is None else np.frombuffer(last, "<f4"),
    )
    return Record(tracklet, identity, embedder, bool(retired))
