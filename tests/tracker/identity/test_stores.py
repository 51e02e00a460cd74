"""What every store does, and what the one in a file does besides."""

import os
import signal
import sqlite3
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from people import crowd, looks, memory, seen

from tracker import DataError, ReacquireError
from tracker.identity import IdentityMemory, MemorySettings
from tracker.identity.changes import Change
from tracker.identity.embedder import KnownEmbedder
from tracker.identity.sqlite_store import SqliteStore
from tracker.identity.store import Batch, NoStore, Record


@pytest.fixture(params=["memory", "sqlite"])
def store(request, tmp_path):
    """Each store, and the same one opened anew."""
    kept = NoStore()
    open_one = (lambda: kept) if request.param == "memory" else (lambda: SqliteStore(tmp_path / "site.sqlite"))
    opened = [open_one()]

    def again():
        opened[-1].close()
        opened.append(open_one())
        return opened[-1]

    yield opened[0], again
    opened[-1].close()


def same(a, b):
    return a[1:] == b[1:] and all(
        np.array_equal(getattr(a.tracklet, n), getattr(b.tracklet, n)) for n in a.tracklet.__slots__
    )


def test_what_is_written_is_there_when_it_is_opened_again(store):
    kept, again = store
    boxes = {"first_xyxy": (0.1, 0.2, 0.3, 0.4), "last_xyxy": (0.5, 0.1, 0.6, 0.9)}
    records = (
        Record(seen(1, "gate ☃'", 1, 0.1, quality=[0.1, 0.2, 0.3], **boxes), 3, "abc"),
        Record(seen(2, "hall", -5, 1e9, embeddings=np.zeros((0, 0), np.float32), class_id=7), 0, "", True),
    )
    changes = (Change(1, 2.5, "given", None, 3, (("gate ☃'", 1),)), Change(2, 3.5, "merged", 4, 3, (("hall", -5),)))
    kept.write(Batch(records=records, changes=changes, names={3: "Anna"}, state={"bar": 1.5, "now": None}))
    kept = again()
    contents = kept.load()
    assert all(map(same, contents.records, records))
    assert contents.names == {3: "Anna"}
    assert contents.state == {"bar": 1.5, "now": None}
    assert kept.changes() == list(changes)
    assert kept.changes(after=1) == list(changes[1:])


def test_what_is_written_again_replaces_what_was_there_and_keeps_its_place(store):
    kept, again = store
    kept.write(Batch(records=tuple(Record(seen(p, "gate", p, p), p, "a") for p in range(3)), names={1: "Anna"}))
    kept.write(Batch(records=(Record(seen(9, "gate", 0, 0, 90), 0, "b"),), identities={("gate", 1): 7}))
    kept.write(Batch(removed=(("gate", 2), ("gate", 99)), names={1: ""}, state={"bar": 2}))
    contents = again().load()
    assert [(r.tracklet.key, r.identity, r.embedder) for r in contents.records] == [
        (("gate", 0), 0, "b"),
        (("gate", 1), 7, "a"),
    ]
    assert contents.records[0].tracklet.end == 90
    assert contents.names == {}


def test_a_memory_that_is_opened_again_goes_on_as_if_it_had_not_been_closed(store):
    kept, again = store
    found = crowd(np.random.default_rng(4), tracklets=60)
    chosen = MemorySettings(review_tracklets=8, budget=4)
    one, other = memory(kept, settings=chosen), memory(settings=chosen)
    for number, (tracklet, _) in enumerate(found):
        if number % 16 == 8:  # counters of what was not reviewed yet start anew with a process
            assert one.review() == other.review()
            one.close()
            one = memory(again(), settings=chosen)
        assert one.observe(tracklet) == other.observe(tracklet)
    assert one.identities() == other.identities()
    assert one.changes() == other.changes()


def test_vectors_of_another_embedder_are_set_aside(store):
    kept, again = store
    one = memory(kept)
    for p in range(3):
        one.observe(seen(p, "gate", p, 10.0 * p))
    one.close()
    other = IdentityMemory(again(), embedder=KnownEmbedder(one._embedder.calibration, "other weights"))
    assert other.set_aside == 3
    assert other.identity_of("gate", 2) == 3
    assert other.observe(seen(1, "hall", 1, 100, embeddings=np.eye(16, dtype=np.float32))).identity == 4
    other.close()
    back = memory(again())
    assert back.set_aside == 1
    assert back.observe(seen(2, "hall", 2, 200)).identity == 3


def test_forgetting_leaves_no_byte(tmp_path):
    path = tmp_path / "site.sqlite"
    known = memory(SqliteStore(path))
    for p in range(4):
        known.observe(seen(p, f"gate{p}", p, 10.0 * p, embeddings=looks(p, 8), quality=0.1 * np.arange(1, 9) + p))
    known.name(2, "Anna Ahornblatt")
    known.review()
    traces = [np.asarray(looks(1, 8)[k], "<f2").tobytes() for k in range(8)] + [
        (0.1 * np.arange(1, 9) + 1).astype("<f4").tobytes(),
        b"Anna Ahornblatt",
    ]

    def left():
        content = b"".join(file.read_bytes() for file in tmp_path.iterdir())
        return [trace in content for trace in traces]

    assert all(left())
    known.forget(2)
    assert not any(left())
    known.close()
    assert not any(left())
    assert memory(SqliteStore(path)).identities().keys() == {1, 3, 4}


def test_what_retention_lets_go_is_overwritten(tmp_path):
    known = memory(SqliteStore(tmp_path / "site.sqlite"), settings=MemorySettings(keep_days=1))
    known.observe(seen(1, "gate", 1, 0))
    known.observe(seen(2, "gate", 2, 200_000))
    known.review()
    known.close()
    content = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert np.asarray(looks(1)[0], "<f2").tobytes() not in content
    assert np.asarray(looks(2)[0], "<f2").tobytes() in content


def python(code, *words):
    return [sys.executable, "-c", textwrap.dedent(code), *map(str, words)]


def test_a_killed_process_loses_nothing_that_was_acknowledged(tmp_path, root):
    code = """
        import sys
        sys.path.insert(0, sys.argv[2])
        from people import memory, seen
        from tracker.identity.sqlite_store import SqliteStore
        known = memory(SqliteStore(sys.argv[1]))
        for k in range(100_000):
            answer = known.observe(seen(k % 7, f"c{k % 3}", k, 10.0 * k))
            print(k, answer.identity, flush=True)
    """
    path = tmp_path / "site.sqlite"
    here = os.path.dirname(__file__)
    with subprocess.Popen(python(code, path, here), stdout=subprocess.PIPE, text=True, cwd=root) as process:
        lines = [process.stdout.readline() for _ in range(60)]
        process.send_signal(signal.SIGKILL)
        lines += process.stdout.readlines()
    told = [line.split() for line in lines if line.endswith("\n")]
    with memory(SqliteStore(path)) as known:
        for k, _ in told:
            known.identity_of(f"c{int(k) % 3}", int(k))
        assert len(known._table) + len(known._retired) in (len(told), len(told) + 1)
        assert known.observe(seen(1, "yard", 1, 1e6)).identity is not None


def test_a_second_process_is_refused_by_name(tmp_path, root):
    path = tmp_path / "site.sqlite"
    code = """
        import sys
        from tracker.identity.sqlite_store import SqliteStore
        store = SqliteStore(__import__("pathlib").Path(sys.argv[1]))
        print("open", flush=True)
        sys.stdin.read()
    """
    with subprocess.Popen(
        python(code, path), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root
    ) as process:
        assert process.stdout.readline() == "open\n"
        with pytest.raises(ReacquireError, match=f"process {process.pid} has these identities open"):
            SqliteStore(path)
        process.stdin.close()
        process.wait()
    SqliteStore(path).close()


def test_one_that_is_closed_twice_or_was_refused_leaves_no_lock(tmp_path):
    one = SqliteStore(tmp_path / "a.sqlite")
    one.close()
    one.close()
    (tmp_path / "b.sqlite").write_bytes(b"not a database at all" * 100)
    for _ in range(2):
        with pytest.raises(DataError, match="no memory of identities"):
            SqliteStore(tmp_path / "b.sqlite")
    with pytest.raises(ReacquireError, match="cannot be opened"):
        SqliteStore(tmp_path / "nowhere" / "c.sqlite")


def test_files_of_others_and_of_later_versions_are_refused(tmp_path):
    for name, statement, said in (
        ("other", "CREATE TABLE t (x)", "something else"),
        ("later", "PRAGMA user_version = 99", "update reacquire"),
    ):
        path = tmp_path / name
        if name == "later":
            SqliteStore(path).close()
        with sqlite3.connect(path) as database:
            database.execute(statement)
        database.close()
        before = path.read_bytes()
        with pytest.raises(DataError, match=said):
            SqliteStore(path)
        assert path.read_bytes() == before


def test_an_older_schema_is_brought_up_to_date(tmp_path, monkeypatch):
    from tracker.identity import sqlite_store

    path = tmp_path / "site.sqlite"
    with memory(SqliteStore(path)) as known:
        known.observe(seen(1, "gate", 1, 0))

    def migrate(database):
        database.execute("ALTER TABLE name ADD COLUMN colour TEXT")

    monkeypatch.setattr(sqlite_store, "MIGRATIONS", (migrate,))
    monkeypatch.setattr(sqlite_store, "VERSION", 2)
    with memory(SqliteStore(path)) as known:
        assert known.identity_of("gate", 1) == 1
        assert known._store._database.execute("SELECT colour FROM name").fetchall() == []
    SqliteStore(path).close()  # once is enough


def test_a_migration_that_fails_changes_nothing(tmp_path, monkeypatch):
    from tracker.identity import sqlite_store

    path = tmp_path / "site.sqlite"
    memory(SqliteStore(path)).close()

    def fail(database):
        database.execute("DROP TABLE name")
        database.execute("DROP TABLE nothing")

    with monkeypatch.context() as changed:
        changed.setattr(sqlite_store, "MIGRATIONS", (fail,))
        changed.setattr(sqlite_store, "VERSION", 2)
        with pytest.raises(ReacquireError, match="nothing"):
            SqliteStore(path)
    with memory(SqliteStore(path)) as known:
        assert known.names == {}


def test_only_its_owner_can_read_it(tmp_path):
    path = tmp_path / "site.sqlite"
    memory(SqliteStore(path)).close()
    assert {file.stat().st_mode & 0o777 for file in tmp_path.iterdir()} == {0o600}


def test_damage_is_told(tmp_path):
    path = tmp_path / "site.sqlite"
    with memory(SqliteStore(path)) as known:
        known.observe(seen(1, "gate", 1, 0))
    with sqlite3.connect(path) as database:
        database.execute("UPDATE tracklet SET embeddings = x'0102'")
    database.close()
    with pytest.raises(DataError, match="damaged"):
        memory(SqliteStore(path))
