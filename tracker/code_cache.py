"""Where compiled functions are kept: one folder for all environments of a user.

A file a function and a kind of arguments. Its folder is named after everything that the machine code depends on (the
sources, the versions of Python, numba and numpy), its name after the function, the arguments and the processor. A file
appears when it is whole, so that any number of processes may compile at once; each simply writes what it made.
"""

from __future__ import annotations

import logging
import os
import pickle
import sys
from collections.abc import Callable
from functools import cache
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

from numba.core import compiler, serialize
from numba.core.caching import NullCache

from reid.runtime import cache_folder

log = logging.getLogger("reacquire.compiled")
SOURCES = (
    "compiled.py",
    "compiled_arrays.py",
    "code_cache.py",
    "association/**/*.py",
    "motion/*.py",
    "offline/*.py",
    "evaluation/*.py",
)
"""Files of the package that compiled code comes from."""


@cache
def stamp() -> str:
    """Of everything that machine code is made from and by, but for the processor."""
    here = Path(__file__).parent
    digest = sha256(repr([sys.version, *(version(name) for name in ("numba", "llvmlite", "numpy"))]).encode())
    for pattern in SOURCES:
        for path in sorted(here.glob(pattern)):
            digest.update(path.relative_to(here).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()[:20]


@cache
def folder() -> Path | None:
    """Where compiled functions are kept; None, said once, where nothing can be written."""
    user = cache_folder()
    if user is not None:
        place = user / "compiled" / stamp()
        try:
            place.mkdir(parents=True, exist_ok=True)
        except OSError:
            user = None
        else:
            return place
    log.warning(
        "compiled code cannot be kept, so every start compiles anew, for some seconds: "
        "set REACQUIRE_CACHE to a folder that can be written"
    )
    return None


def describe(value: Any) -> str:
    """A function by its name, and by what it was made from where another function made it; else the value."""
    function = getattr(value, "py_func", value)
    if isinstance(value, tuple):
        return f"({', '.join(map(describe, value))})"
    if not hasattr(function, "__code__"):
        return repr(value)
    made_from = [describe(cell.cell_contents) for cell in function.__closure__ or ()]
    return f"{function.__module__}.{function.__qualname__}{made_from or ''}"


class CodeCache(NullCache):
    """What numba asks for the machine code of one function.

    Args:
        function: of Python. Functions made by another are told apart by what they were made from.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    @property
    def cache_path(self) -> str:
        """The folder."""
        return str(folder())

    def _file(self, signature: Any, library: Any) -> Path | None:
        place = folder()
        if place is None:
            return None
        key = repr((describe(self._function), signature, library.magic_tuple()))
        name = self._function.__qualname__.replace(".<locals>", "")
        return place / f"{name}-{sha256(key.encode()).hexdigest()[:20]}.code"

    def load_overload(self, signature: Any, target: Any) -> Any:
        """The compiled function for these arguments, or None."""
        file = self._file(signature, target.codegen())
        if file is None:
            return None
        try:
            content = file.read_bytes()
        except OSError:
            return None
        target.refresh()
        try:
            return compiler.CompileResult._rebuild(target, *pickle.loads(content))
        except (pickle.UnpicklingError, EOFError, ValueError, TypeError, AttributeError, ImportError) as error:
            log.warning("%s is damaged (%s): compiled anew", file, error)
            return None

    def save_overload(self, signature: Any, result: Any) -> None:
        """Keep a compiled function; where that fails, the next process compiles it anew."""
        file = self._file(signature, result.codegen)
        if file is None or result.library.has_dynamic_globals:
            return
        partial = file.with_suffix(f".{os.getpid()}.partial")
        try:
            partial.write_bytes(serialize.dumps(result._reduce()))
            partial.replace(file)
        except OSError as error:
            partial.unlink(missing_ok=True)
            log.warning("compiled code cannot be kept in %s (%s)", file.parent, error.strerror)
