"""The command line: one file per verb, thin: parse, call, print."""

from __future__ import annotations

import sys
from typing import Any


def main() -> None:
    """Run `reacquire`; errors that a user can mend become one message and exit code 1."""
    from tracker.cli.streams import BROKEN_PIPE, LostOutputError, deliver, discard, prepare_streams

    prepare_streams()
    try:
        code = _run()
        deliver()
    except LostOutputError as error:
        from tracker.cli.console import say_error

        discard()
        if not error.reader_left:  # who left, as `| head` does, has all that he wanted
            say_error(str(error))
        code = BROKEN_PIPE if error.reader_left else 1
    sys.exit(code)


def _run() -> int:
    """The exit code of what the arguments ask for."""
    import typer

    from tracker.cli.console import say_error
    from tracker.cli.streams import LostOutputError, say_fault
    from tracker.errors import ReacquireError

    # Click's base of wrong usage, wherever this typer has its click.
    wrong_usage: type[Exception] = next(
        kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException"
    )
    try:
        from tracker.cli.app import app

        return int(app(standalone_mode=False) or 0)
    except typer.Abort:
        say_error("stopped")
        return 1
    except wrong_usage as error:
        return _say_usage(error)
    except ReacquireError as error:
        say_error(str(error))
        return 1
    except OSError as error:  # of the machine, not of the program, wherever it came up
        say_error(f"{error.filename}: {error.strerror}" if error.filename and error.strerror else str(error))
        return 1
    except MemoryError:
        say_error("there is not enough memory for this")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return 130
    except LostOutputError:
        raise
    except Exception as error:  # noqa: BLE001  # a fault of ours: shown whole, but for passwords
        say_fault(error)
        say_error("this is a fault of reacquire itself; please report it with the lines above")
        return 1


def _say_usage(error: Any) -> int:
    """Wrong usage as typer says it, without passwords in what was typed; its exit code."""
    from typer.rich_utils import rich_format_error

    from tracker.redact import redact

    error.message = redact(error.message)
    rich_format_error(error)
    return int(error.exit_code)
