"""Files of vectors: written when somebody asks for them, readable by their owner alone, and easy to delete from.

A vector of a person can find that person again: it is personal data in many countries, like the picture.
"""

from __future__ import annotations

import fnmatch
import json
import math
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reid.errors import DataError
from reid.files import replacing

MOST_BYTES = 4 * 2**30
"""Of a file's vectors in memory: four million of 256 dimensions."""
FORMATS = (".parquet", ".npz")
NOTE = (
    "Vectors of people are personal data in many countries: whoever has them can find these people again. Keep them no "
    "longer than needed; `reacquire reid forget FILE --match PATTERN` takes rows out, without --match it deletes all."
)


@dataclass(frozen=True, slots=True, eq=False)
class Vectors:
    """Named vectors.

    Attributes:
        name: N of them: the crop's path within its folder.
        vector: ``(N, D)`` float32 of unit length.
        about: what made them, as plain values: weights, their hash, distance, threshold.
    """

    name: tuple[str, ...]
    vector: NDArray[np.float32]
    about: dict[str, Any]


def check_names(path: Path, names: Iterable[str]) -> None:
    """Refuse names that a file of this kind cannot hold.

    Raises:
        DataError: Parquet has Unicode text only, and a crop's file is called otherwise.
    """
    odd = next((name for name in names if any("\ud800" <= letter <= "\udfff" for letter in name)), None)
    if odd is not None and path.suffix == ".parquet":
        raise DataError(f"{path}: the name {odd} is not Unicode, which Parquet cannot hold; write an .npz")


def write_vectors(path: Path, vectors: Vectors) -> None:
    """Write a file that its owner alone can read; it appears when it is whole.

    Parquet has columns `name` (string) and `vector` (a list of D float32), and the facts under the key `reacquire`
    of its metadata; NPZ has arrays `name` (N,), `vector` (N, D) and `about` (JSON text).
    """
    check_names(path, vectors.name)
    about = json.dumps({**vectors.about, "note": NOTE}, ensure_ascii=False)
    with replacing(path, mode=0o600) as partial, partial.open("wb") as file:
        if path.suffix == ".npz":
            np.savez_compressed(file, name=np.array(vectors.name, str), vector=vectors.vector, about=np.array(about))
        else:
            import pyarrow as pa
            from pyarrow import parquet

            flat = pa.array(np.ascontiguousarray(vectors.vector).ravel())
            lists = pa.FixedSizeListArray.from_arrays(flat, vectors.vector.shape[1])
            table = pa.table({"name": pa.array(vectors.name, pa.string()), "vector": lists})
            parquet.write_table(table.replace_schema_metadata({"reacquire": about}), file)


def read_vectors(path: Path) -> Vectors:
    """A file that `write_vectors` wrote, Parquet or NPZ by its content; nothing in it can run.

    Raises:
        DataError: missing, damaged, another file, or larger than `MOST_BYTES`.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    try:
        with path.open("rb") as file:
            read = _read_npz if file.read(2) == b"PK" else _read_parquet
        vectors = read(path)
        _check(vectors)
    except DataError:
        raise
    except Exception as error:  # of zip, NumPy and Arrow, each of which raises its own kinds for damaged bytes
        reason = (str(error) or type(error).__name__).splitlines()[0][:300]
        raise DataError(f"{path}: damaged, or not a file of vectors of `reacquire reid embed` ({reason})") from error
    return vectors


def _check(vectors: Vectors) -> None:
    names, array = vectors.name, vectors.vector
    if array.ndim != 2 or len(array) != len(names) or not array.shape[1]:
        raise ValueError(f"{len(names)} names, but vectors of shape {array.shape}")
    if not all(isinstance(name, str) for name in names) or not isinstance(vectors.about, dict):
        raise ValueError("names that are no text, or no facts")
    length = np.linalg.norm(array, axis=1)
    bad = ~((np.abs(length - 1) < 1e-3) | (length == 0))
    if bad.any():
        row = int(bad.argmax())
        raise ValueError(f"the vector of {names[row][:100]!r} has the length {length[row]:g}, expected 1")


def _read_npz(path: Path) -> Vectors:
    with zipfile.ZipFile(path) as archive:
        for name in ("name", "vector", "about"):
            entry = archive.getinfo(f"{name}.npy")
            with archive.open(entry) as file:
                version = np.lib.format.read_magic(file)
                header = (
                    np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
                )
                shape, _, kind = header(file)
                start = file.tell()
            declared = math.prod(shape) * kind.itemsize
            if start + declared != entry.file_size or min(shape, default=0) < 0:
                raise ValueError(f"{name} should have {declared:,} bytes, and has {entry.file_size - start:,}")
            _check_size(path, declared)
            if kind.kind != ("f" if name == "vector" else "U"):
                raise ValueError(f"{name} has numbers of the kind {kind}")
    with np.load(path, allow_pickle=False) as stored:
        about = json.loads(str(stored["about"]))
        names = np.atleast_1d(stored["name"]).ravel().tolist()
        return Vectors(tuple(names), np.asarray(stored["vector"], np.float32), about)


def _read_parquet(path: Path) -> Vectors:
    import pyarrow as pa
    from pyarrow import parquet

    with path.open("rb") as file:
        source = parquet.ParquetFile(file)
        kind = source.schema_arrow.field("vector").type
        if not pa.types.is_fixed_size_list(kind) or not pa.types.is_float32(kind.value_type):
            raise ValueError(f"its column `vector` holds {kind}")
        groups = [source.metadata.row_group(index) for index in range(source.metadata.num_row_groups)]
        _check_size(path, source.metadata.num_rows * kind.list_size * 4)
        _check_size(path, sum(group.total_byte_size for group in groups))
        table = source.read(columns=["name", "vector"], use_threads=False)  # see apache/arrow issue 34314
    column = table["vector"].combine_chunks()
    flat = np.asarray(column.flatten(), np.float32)
    about = json.loads((table.schema.metadata or {})[b"reacquire"])
    return Vectors(tuple(table["name"].to_pylist()), flat.reshape(len(table), kind.list_size), about)


def _check_size(path: Path, size: int) -> None:
    """Before anything of that size is made."""
    if size > MOST_BYTES:
        raise DataError(
            f"{path}: would take {size:,} bytes, more than {MOST_BYTES:,}: damaged, or made to fill the memory"
        )


def forget(path: Path, pattern: str | None = None) -> tuple[int, int]:
    """Delete vectors.

    Args:
        path: of a file of vectors.
        pattern: of names, with * and ?; the whole file when None. A file that has none left is deleted.

    Returns:
        How many are gone, and how many are left.

    Raises:
        DataError: not a file of vectors, or no name fits.
    """
    vectors = read_vectors(path)
    gone = np.array([pattern is None or fnmatch.fnmatchcase(name, pattern) for name in vectors.name], bool)
    if pattern is not None and not gone.any():
        raise DataError(f"{path}: none of its {len(gone)} names fits {pattern!r}; the first is {vectors.name[0]!r}")
    if gone.all():
        path.unlink()
    else:
        kept = tuple(name for name, out in zip(vectors.name, gone, strict=True) if not out)
        about = {key: value for key, value in vectors.about.items() if key != "note"}
        write_vectors(path, Vectors(kept, vectors.vector[~gone], about))
    return int(gone.sum()), int((~gone).sum())
