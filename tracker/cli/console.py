"""Where the command line prints: results to stdout, everything else to stderr."""

from __future__ import annotations

import os
import sys
from typing import Any, NoReturn

from rich.console import Console
from rich.text import Text

from reid.files import as_json
from tracker.compile_clock import COMPILING, clock

# Where there is no terminal, lines are as long as they need to be. Brackets stand for themselves, since names of files
# hold them; what is styled is styled as a whole.
stdout = Console(width=None if sys.stdout.isatty() else 200, markup=False)
stderr = Console(stderr=True, markup=False)

LOADING = "loading …"
"""What there is to say before anything is seen."""


def say_error(problem: str) -> None:
    """One message on stderr, without the passwords that may be in it."""
    from tracker.redact import redact

    stderr.print(Text("error: ", "bold red").append(redact(problem), "not bold default"), soft_wrap=True)


def tell_of_compiling() -> None:
    """Have it said when this process begins to compile; where all is in the cache, nothing is."""
    clock.tell(lambda: stderr.print(COMPILING, highlight=False))


def print_json(value: Any) -> None:
    """One JSON object on stdout, and nothing else there."""
    sys.stdout.write(as_json(value, sys.stdout.encoding) + "\n")


def leave_at_once(code: int = 130) -> NoReturn:
    """End the process now, from any thread, whatever others do; a cursor that was hidden is shown again."""
    if sys.stderr is not None and sys.stderr.isatty():
        os.write(2, b"\x1b[?25h\n")
    os._exit(code)
