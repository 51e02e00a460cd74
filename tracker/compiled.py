"""Functions that numba compiles once per machine, with a cache that can be trusted.

numba looks only at the file of a function to decide whether its cached machine code is still true, not at the
files of the functions it calls. Here the stamp is made of the sources of everything that is compiled.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
import numba.extending
from numpy.typing import NDArray

Function = TypeVar("Function", bound=Callable[..., Any])
Array = TypeVar("Array", bound=NDArray[Any])

SOURCES = ("association/*.py", "motion/*.py", "evaluation/*.py", "compiled.py")


@cache
def _stamp() -> bytes:
    """Of all the sources that compiled code can come from."""
    here = Path(__file__).parent
    digest = sha256(numba.__version__.encode())
    for pattern in SOURCES:
        for path in sorted(here.glob(pattern)):
            digest.update(path.read_bytes())
    return digest.digest()


def compiled(function: Function) -> Function:
    """`function` as machine code, compiled at its first call or taken from the cache.

    The cache lies beside the source, or in the user's cache folder where that is read-only. Where neither can be
    written, the function is compiled anew in every process.
    """
    dispatcher: Any = numba.njit(nogil=True, error_model="numpy")(function)
    try:
        dispatcher.enable_caching()
    except RuntimeError:  # nowhere to write
        return cast(Function, dispatcher)
    file: Any = getattr(dispatcher._cache, "_cache_file", None)
    if not hasattr(file, "_version"):
        # Not public: where a numba has it no longer, it is better to compile anew than to trust old code.
        return cast(Function, numba.njit(nogil=True, error_model="numpy")(function))
    # Compared before anything else of the file is read: what other sources left may name classes that are no more.
    file._version = _stamp()
    return cast(Function, dispatcher)


def _borrow(typing: Any, array: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        view = context.make_array(array)(context, builder, arguments[0])
        view.meminfo = context.get_constant_null(numba.types.voidptr)
        return view._getvalue()

    return array(array), generate


borrowed = cast(Callable[[Array], Array], numba.extending.intrinsic(_borrow))
"""For compiled functions: an array of which numba counts no references. For arguments alone, as whoever called holds
them for long enough.

Counting costs two atomic instructions for every array that is handed to a function, and for every row that is taken of
one: more than all the arithmetic on a pair of boxes.
"""


def _pointer(kind: Any) -> Any:
    def type_it(typing: Any, address: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return builder.inttoptr(arguments[0], context.get_value_type(signature.return_type))

        pointer: Any = numba.types.CPointer
        return pointer(kind)(numba.types.int64), generate

    return numba.extending.intrinsic(type_it)


doubles_at, floats_at = _pointer(numba.types.float64), _pointer(numba.types.float32)
integers_at, flags_at = _pointer(numba.types.int64), _pointer(numba.types.boolean)
carray: Any = numba.carray  # type: ignore[attr-defined]
"""For compiled functions: the pointer that an address is, and the array of this shape at a pointer."""
