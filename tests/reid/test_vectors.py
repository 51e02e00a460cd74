"""Files of vectors: what is declared must be there, before memory is taken for it."""

import io
import json
import zipfile

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from reid import DataError
from reid.vectors import Vectors, forget, read_vectors, write_vectors


@pytest.fixture
def vectors():
    rows = np.random.default_rng(0).normal(size=(5, 8)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return Vectors(("a/1.jpg", "a/2.jpg", "b/1.jpg", "b/ü.jpg", "c/1.jpg"), rows, {"weights": "w", "dimension": 8})


@pytest.mark.parametrize("name", ["v.npz", "v.parquet"])
def test_there_and_back_whatever_the_name(vectors, tmp_path, name):
    write_vectors(tmp_path / name, vectors)
    (tmp_path / "other").write_bytes((tmp_path / name).read_bytes())
    got = read_vectors(tmp_path / "other")
    assert got.name == vectors.name
    np.testing.assert_array_equal(got.vector, vectors.vector)
    assert got.about["dimension"] == 8


@pytest.mark.parametrize("name", ["v.npz", "v.parquet"])
@pytest.mark.parametrize("value", [np.nan, np.inf, 3.0])
def test_vectors_that_are_none(vectors, tmp_path, name, value):
    vectors.vector[2, 1] = value
    write_vectors(tmp_path / name, vectors)
    with pytest.raises(DataError, match=r"damaged.*'b/1\.jpg' has the length (nan|inf|3)"):
        forget(tmp_path / name, "a/*")


def npz(path, **arrays):
    """An NPZ whose arrays may say another shape than they have."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, (shape, kind, content) in arrays.items():
            file = io.BytesIO()
            np.lib.format.write_array_header_1_0(file, {"shape": shape, "fortran_order": False, "descr": kind})
            archive.writestr(f"{name}.npy", file.getvalue() + content)
    return path


NAMES = ((1,), "<U1", "a".encode("utf-32-le"))
ABOUT = ((), "<U2", "{}".encode("utf-32-le"))


@pytest.mark.parametrize(
    ("vector", "message"),
    [
        (((10**9, 256), "<f4", bytes(16)), r"vector should have 1,024,000,000,000 bytes, and has 16"),
        (((2**31, 0), "<f4", b""), "damaged"),
        (((2**27, 8, 2), "<f4", bytes(64)), r"vector should have 8,589,934,592 bytes"),
        (((1, 2), "|O", b"cos\nsystem\n(S'touch ran'\ntR."), "damaged"),
        (((1, 2), "<i4", bytes(8)), "vector has numbers of the kind int32"),
        (((-1, 2), "<f4", bytes(8)), "damaged"),
    ],
)
def test_an_npz_declares_what_it_does_not_hold(tmp_path, vector, message):
    with pytest.raises(DataError, match=message):
        read_vectors(npz(tmp_path / "v.npz", name=NAMES, vector=vector, about=ABOUT))


def test_an_npz_that_unpacks_to_more_than_memory_should_take(tmp_path, monkeypatch):
    monkeypatch.setattr("reid.vectors.MOST_BYTES", 2**20)
    path = npz(tmp_path / "v.npz", name=NAMES, vector=((2**17, 4), "<f4", bytes(2**21)), about=ABOUT)
    assert path.stat().st_size < 10_000
    with pytest.raises(DataError, match=r"would take 2,097,152 bytes, more than 1,048,576"):
        read_vectors(path)


def test_a_parquet_that_unpacks_to_more_than_memory_should_take(tmp_path, monkeypatch):
    monkeypatch.setattr("reid.vectors.MOST_BYTES", 2**20)
    lists = pa.FixedSizeListArray.from_arrays(pa.array(np.zeros(2**19, np.float32)), 4)
    table = pa.table({"name": pa.array([""] * 2**17, pa.string()), "vector": lists})
    parquet.write_table(table.replace_schema_metadata({"reacquire": json.dumps({})}), tmp_path / "v.parquet")
    with pytest.raises(DataError, match="would take 2,097,152 bytes"):
        read_vectors(tmp_path / "v.parquet")
