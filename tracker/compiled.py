"""Functions that numba compiles once for a user and a machine, quickly.

numba, left to itself, makes of every function three: one that Python can call, one that C can call, and one for other
compiled functions; it optimises each on its own and again in all that call it, and stores each. Of the engine's
functions only a few are ever called from Python. So here a function called by another compiled one is translated as a
part of it, and machine code is made of the whole alone. That halves the time of compiling; the result is the same.
"""

from __future__ import annotations

import itertools
import logging
import os
from collections.abc import Callable
from functools import cached_property
from typing import Any, TypeVar, cast

from numba import typeof
from numba.core import codegen, compiler, event, typed_passes, types
from numba.core.bytecode import FunctionIdentity
from numba.core.compiler_machinery import register_pass
from numba.core.imputils import lower_constant
from numba.core.registry import CPUDispatcher
from numba.extending import models, register_model

from tracker.code_cache import CodeCache
from tracker.compile_clock import clock

Function = TypeVar("Function", bound=Callable[..., Any])

OPTIONS = {"nopython": True, "nogil": True, "error_model": "numpy"}
Record = Any
"""A row of a structured array, whose fields compiled code reads by name; a type checker knows nothing of them."""
log = logging.getLogger("reacquire.compiled")


FunctionIdentity._unique_ids = itertools.count(int.from_bytes(os.urandom(6), "big"))
# These numbers tell symbols of one name apart. numba counts from 1 in every process, so that of what two processes
# compiled, in a third one function could be taken for the other.


class _Watch(event.Listener):
    """Tells the clock when a whole function is compiled: numba calls it for those that no cache had."""

    def on_start(self, event: Any) -> None:
        if isinstance(event.data["dispatcher"], _Whole):
            clock.begin()

    def on_end(self, event: Any) -> None:
        if isinstance(event.data["dispatcher"], _Whole):
            name = event.data["dispatcher"].py_func.__qualname__
            log.info("compiled %s in %.1f s", name, clock.end())


class _Part(codegen.JITCodeLibrary):
    """The code of a function that is a part of others: it is linked with what it calls, no more."""

    def finalize(self) -> None:
        linked = set()
        for library in self._linking_libraries:
            if library not in linked:
                linked.add(library)
                self._reload_init.update(library._reload_init)
                self._final_module.link_in(library._get_module_for_linking(), preserve=True)
        self._finalize_dynamic_globals()
        self._finalized = True


@register_pass(mutates_CFG=True, analysis_only=False)
class _PartLowering(typed_passes.NativeLowering):
    """numba's last step, which makes a function known to its callers, without machine code of its own."""

    _name = "native_lowering"

    def run_pass(self, state: Any) -> bool:
        state.library = _Part(state.targetctx.codegen(), state.func_id.func_qualname)
        state.flags.no_compile = True
        super().run_pass(state)
        lowered, handle = state["cr"], object()
        state.targetctx.insert_user_function(handle, lowered.fndesc, [state.library])
        state.reload_init.extend(state.library._reload_init)
        state["cr"] = lowered._replace(cfunc=handle)
        return True


LINKED = "linkonce_odr"
"""How numba marks the functions of parts."""


class _WholeLibrary(codegen.JITCodeLibrary):
    """The code of a function for Python with all its parts, which nobody outside calls.

    LLVM is told so: then it puts a part that is called at one place there, and need not hand it the engine's arrays,
    which are more than a hundred numbers.
    """

    def _optimize_final_module(self) -> None:
        for function in self._final_module.functions:
            if not function.is_declaration and function.linkage.name == LINKED:
                function.visibility, function.linkage = "default", "internal"
        super()._optimize_final_module()


@register_pass(mutates_CFG=True, analysis_only=False)
class _WholeLowering(typed_passes.NativeLowering):
    """numba's last step, with a library of ours."""

    _name = "native_lowering"

    def run_pass(self, state: Any) -> bool:
        state.library = _WholeLibrary(state.targetctx.codegen(), state.func_id.func_qualname)
        state.library.enable_object_caching()
        return bool(super().run_pass(state))


class _PartCompiler(compiler.CompilerBase):
    """numba's usual steps, but for the last."""

    lowering: type[typed_passes.NativeLowering] = _PartLowering

    def define_pipelines(self) -> list[Any]:
        steps = compiler.DefaultPassBuilder.define_nopython_pipeline(self.state)
        usual = typed_passes.NativeLowering
        steps.passes = [(self.lowering if step is usual else step, why) for step, why in steps.passes]
        steps.finalize()
        return [steps]


class _WholeCompiler(_PartCompiler):
    """The same for a function for Python."""

    lowering = _WholeLowering


class PartType(types.Dispatcher):
    """numba's type of a compiled function: told apart, so that one in a tuple is a constant without an address."""


register_model(PartType)(models.OpaqueModel)


@lower_constant(PartType)
def _no_address(context: Any, builder: Any, kind: Any, value: Any) -> Any:
    return context.get_dummy_value()


class Compiled(CPUDispatcher):
    """A compiled function: a part of the compiled functions that call it, and a whole of its own for Python."""

    def __init__(self, function: Callable[..., Any], *, counts: bool) -> None:
        self._options = OPTIONS | {"no_cfunc_wrapper": True, "_nrt": counts}
        options = self._options | {"no_cpython_wrapper": True}
        super().__init__(function, targetoptions=options, pipeline_class=_PartCompiler)

    @property
    def _numba_type_(self) -> Any:
        return PartType(self)

    def add_overload(self, result: Any) -> None:
        """Keep what was compiled for those who call it; there is nothing in it that Python could call."""
        self.overloads[tuple(result.signature.args)] = result

    @cached_property
    def whole(self) -> Any:
        """The function for Python; called directly, it is called a little faster."""
        whole: Any = _Whole(self.py_func, targetoptions=self._options, pipeline_class=_WholeCompiler)
        whole._cache = CodeCache(self.py_func)
        return whole

    def code_for(self, *arguments: Any) -> Callable[..., Any]:
        """The machine code for arguments of these kinds; compiled here, where it is not there yet.

        numba looks at the kind of every argument in every call, which costs 4 µs for the engine's arrays. Who always
        has arguments of the same kinds asks for their code once. Nobody looks at them after that, but for the number
        of dimensions and the size of an element: other kinds are misread.
        """
        code: Callable[..., Any] = self.whole.compile(tuple(map(typeof, arguments)))
        return code

    def __call__(self, *arguments: Any) -> Any:
        return self.whole(*arguments)


class _Whole(CPUDispatcher):
    """A function for Python."""


event.register("numba:compile", _Watch())


def compiled(function: Function) -> Function:
    """`function` as machine code, compiled at its first call or taken from the user's cache."""
    return cast(Function, Compiled(function, counts=True))


def kernel(function: Function) -> Function:
    """As `compiled`, for a function that makes no array: it counts no references to those that it is handed.

    Counting costs two atomic instructions for every array that is handed from function to function, and the engine
    hands on some twenty. It is safe not to: whoever called holds the arrays for as long as the function runs. numba
    refuses to compile an allocation in such a function; what it calls must return no array either.
    """
    return cast(Function, Compiled(function, counts=False))
