"""Checkpoints looked through before they are loaded: what a pickle would make, without making any of it.

A pickle is a program. It may name any function and have it called, and any size and have it made. Here its operations
are gone through with inert stand-ins in place of all that it names, so that nothing of it runs; what it names, calls
and measures is judged, and torch loads only what has passed.
"""

from __future__ import annotations

import io
import math
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from reid.errors import WeightsError

MOST_OPERATIONS = 4_000_000
"""Bytes of the pickle itself, tensors aside: that of a large network has half a million."""
MOST_NAMES = 5000
"""Different things that it names."""
MOST_SHARED = 8
"""Times that all tensors together may be as large as the file: some share their numbers, as weights that are tied."""
ITEM = {
    **dict.fromkeys(("Byte", "Char", "Bool", "QInt8", "QUInt8", "Untyped"), 1),
    **dict.fromkeys(("Short", "Half", "BFloat16"), 2),
    **dict.fromkeys(("Int", "Float", "QInt32"), 4),
    **dict.fromkeys(("Long", "Double", "ComplexFloat"), 8),
    "ComplexDouble": 16,
}
"""Bytes of a number, by the name of its storage in torch."""
TENSORS = {"torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2"}
PARAMETERS = {"torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state"}
VALUES = {
    "collections.OrderedDict",
    "collections.Counter",
    "builtins.set",
    "builtins.complex",
    "_codecs.encode",
    "torch.Size",
    "torch.device",
    "torch.serialization._get_layout",
    # The score of the best epoch, as some trainers store it, is a NumPy number: data, and harmless.
    "numpy.dtype",
    "numpy.core.multiarray.scalar",
    "numpy._core.multiarray.scalar",
}
"""What any checkpoint may call: it makes a plain value of plain values."""
TOO_FREE = (
    pickle.BYTEARRAY8 + pickle.NEXT_BUFFER + pickle.READONLY_BUFFER + pickle.EXT1 + pickle.EXT2 + pickle.EXT4
)  # fmt: skip
"""Operations that make what is not in the file, or take what is not named in it; no checkpoint has them."""


class RefusedError(WeightsError):
    """Loading would call something that is not known to be harmless.

    Attributes:
        wanted: its name.
    """

    def __init__(self, path: Path, wanted: str) -> None:
        super().__init__(
            f"{path}: refused: it is not plain tensors, loading it would call `{wanted}`, and that could be any code"
        )
        self.wanted = wanted


class _Never(type):
    """Of classes whose objects may be restored, but not constructed: what a constructor does is its own affair."""

    def __call__(cls, *_: Any, **__: Any) -> Any:
        raise _CalledError(cls.__name__)


class _CalledError(Exception):
    """A class was called."""


class _Object(metaclass=_Never):
    """In place of an object that may be restored."""

    def __new__(cls, *_: Any) -> _Object:
        return object.__new__(cls)

    def __setstate__(self, state: Any) -> None:
        pass


class _Value:
    """In place of a plain value."""

    def __setstate__(self, state: Any) -> None:
        pass


class _Storage:
    """In place of a tensor's numbers."""

    def __init__(self, item: int, count: int) -> None:
        self.item, self.count = item, count


class _Tensor:
    """In place of a tensor."""

    def __setstate__(self, state: Any) -> None:
        pass


class _Unpickler(pickle._Unpickler):
    """Goes through the operations; see the module.

    Args:
        content: of the pickle.
        may_restore: tells whether a class' objects may be restored, by its name.
        may_call: tells whether something may be called, by its name and arguments.
        has: tells whether the file holds so many bytes for a storage, by its key.
    """

    dispatch = {key: step for key, step in pickle._Unpickler.dispatch.items() if key not in TOO_FREE}  # noqa: RUF012

    def __init__(
        self,
        content: io.BytesIO,
        may_restore: Callable[[str], bool],
        may_call: Callable[[str, tuple[Any, ...]], bool],
        has: Callable[[str, int], bool],
    ) -> None:
        super().__init__(content)
        self._may_restore, self._may_call, self._has = may_restore, may_call, has
        self._known: dict[tuple[str, str], Any] = {}
        self.bytes = 0

    def find_class(self, module: str, name: str) -> Any:
        """The stand-in for what has this name."""
        if (module, name) not in self._known:
            if len(self._known) >= MOST_NAMES:
                raise pickle.UnpicklingError(f"it names more than {MOST_NAMES:,} things")
            self._known[module, name] = self._stand_in(module, name)
        return self._known[module, name]

    def _stand_in(self, module: str, name: str) -> Any:
        module = {"__builtin__": "builtins", "copy_reg": "copyreg"}.get(module, module)
        full = f"{module}.{name}"
        if full in ("collections.OrderedDict", "collections.Counter"):
            return OrderedDict
        if full == "builtins.set":
            return set
        if full in TENSORS:
            return self._tensor
        if full in PARAMETERS:
            return lambda data, *_: data
        kind = name.removesuffix("Storage")
        if module in ("torch", "torch.storage") and name.endswith("Storage") and kind in ITEM:
            return _Storage(ITEM[kind], 0)
        if module == "torch" and name.islower() and name.isalnum():  # a type of numbers, as torch.float16
            return _Value()
        if self._may_restore(full):
            return type(full, (_Object,), {"__module__": "stand-in"})
        if full in VALUES or self._may_call(full, ()):
            return lambda *values: self._value(full, values)
        raise _CalledError(full)

    def _value(self, name: str, values: tuple[Any, ...]) -> _Value:
        if name not in VALUES and not self._may_call(name, values):
            raise _CalledError(name)
        return _Value()

    def persistent_load(self, pid: Any) -> _Storage:
        """A storage; the file must hold it."""
        word, kind, key, _, count = pid[:5]
        if word not in ("storage", b"storage") or not isinstance(kind, _Storage) or type(count) is not int or count < 0:
            raise pickle.UnpicklingError("a storage that is none")
        if not self._has(str(key), count * kind.item):
            raise pickle.UnpicklingError(f"storage {key} should have {count * kind.item:,} bytes, and has not")
        return _Storage(kind.item, count)

    def _tensor(self, storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> _Tensor:
        sides, steps = tuple(size), tuple(stride)
        numbers = (offset, *sides, *steps)
        if not isinstance(storage, _Storage) or len(sides) != len(steps):
            raise pickle.UnpicklingError("a tensor without numbers")
        if not all(type(number) is int and 0 <= number < 1 << 62 for number in numbers):
            raise pickle.UnpicklingError(f"a tensor of shape {sides}")
        count = math.prod(sides)
        last = offset + sum((side - 1) * step for side, step in zip(sides, steps, strict=True)) if count else 0
        if count > storage.count or (count and last >= storage.count):
            raise pickle.UnpicklingError(
                f"a tensor of shape {sides} has {count:,} numbers, but the file holds {storage.count:,} of it"
            )
        self.bytes += count * storage.item
        return _Tensor()


def look_through(
    path: Path,
    *,
    may_restore: Callable[[str], bool] = lambda _: False,
    may_call: Callable[[str, tuple[Any, ...]], bool] = lambda *_: False,
) -> None:
    """Go through a checkpoint of torch, and refuse it if loading it could run code or make what is not in the file.

    Args:
        path: of the file: a zip, or the pickles of torch before 1.6.
        may_restore: tells by a class' full name whether its objects may be restored, without its constructor.
        may_call: tells whether something may be called, by its full name and arguments (none at first: at all).

    Raises:
        RefusedError: something else would be called; names it.
        WeightsError: damaged, or it declares tensors that the file does not hold.
    """
    try:
        size = path.stat().st_size
        shared = _zipped(path, may_restore, may_call) if _is_zip(path) else _plain(path, size, may_restore, may_call)
    except _CalledError as error:
        raise RefusedError(path, str(error)) from error
    except WeightsError:
        raise
    except Exception as error:  # whatever the operations of a damaged pickle do to each other
        reason = (str(error) or type(error).__name__).splitlines()[0][:200]
        raise WeightsError(f"{path}: damaged, or not a checkpoint of torch ({reason})") from error
    if shared > MOST_SHARED * size:
        raise WeightsError(f"{path}: damaged: its tensors have {shared:,} bytes, in a file of {size:,}")


def _is_zip(path: Path) -> bool:
    """As torch decides it."""
    with path.open("rb") as file:
        return file.read(4) == b"PK\x03\x04"


Rule = Callable[[str], bool]
Call = Callable[[str, tuple[Any, ...]], bool]


def _zipped(path: Path, may_restore: Rule, may_call: Call) -> int:
    with zipfile.ZipFile(path) as archive:
        entries = {entry.filename: entry for entry in archive.infolist()}
        if len(entries) != len(archive.infolist()):
            raise zipfile.BadZipFile("two files of one name in it")
        for entry in entries.values():
            if entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size:
                raise zipfile.BadZipFile(f"{entry.filename} is compressed, which torch does not do")
        mains = [name for name in entries if name.rpartition("/")[2] == "data.pkl"]
        if len(mains) != 1:
            raise zipfile.BadZipFile(f"expected one data.pkl in it, found {len(mains)}")
        if entries[mains[0]].file_size > MOST_OPERATIONS:
            raise pickle.UnpicklingError(f"its pickle is longer than {MOST_OPERATIONS:,} bytes")
        content = archive.read(mains[0])
    # A zip is found from its end, by one reader so and by another so: both must have found the same.
    with path.open("rb") as file:
        torchs = torch._C.PyTorchFileReader(file)
        names = {name.partition("/")[2] for name in entries}
        if torchs.get_record("data.pkl") != content or not names >= set(torchs.get_all_records()):
            raise zipfile.BadZipFile("two archives in one")
    folder = mains[0].removesuffix("data.pkl")

    def has(key: str, length: int) -> bool:
        entry = entries.get(f"{folder}data/{key}")
        return entry is not None and entry.file_size == length

    reader = _Unpickler(io.BytesIO(content), may_restore, may_call, has)
    reader.load()
    return reader.bytes


def _plain(path: Path, size: int, may_restore: Rule, may_call: Call) -> int:
    """Of the pickles of torch before 1.6: magic number, version, machine, content, keys of the storages."""
    with path.open("rb") as file:
        content = io.BytesIO(file.read(MOST_OPERATIONS))
    asked: dict[str, int] = {}

    def has(key: str, length: int) -> bool:
        asked[key] = length
        return sum(asked.values()) <= size

    shared = 0
    for _ in range(5):
        reader = _Unpickler(content, may_restore, may_call, has)
        reader.load()
        shared += reader.bytes
    return shared
