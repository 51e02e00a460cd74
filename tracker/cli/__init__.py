"""The command line: one file per verb, thin: parse, call, print."""

from __future__ import annotations

import sys


def main() -> None:
    """Run `reacquire`; errors that a user can mend become one message and exit code 1."""
    from reid.errors import ReidError
    from tracker.cli.app import app
    from tracker.cli.console import stderr
    from tracker.errors import ReacquireError

    try:
        app()
    except (ReacquireError, ReidError) as error:
        stderr.print(f"[bold red]error:[/] {_escaped(str(error))}", highlight=False, soft_wrap=True)
        sys.exit(1)
    except KeyboardInterrupt:
        stderr.print("interrupted")
        sys.exit(130)
    except BrokenPipeError:  # the reader of our output went away, as `| head` does
        sys.stderr.close()
        sys.exit(141)


def _escaped(text: str) -> str:
    from rich.markup import escape

    return escape(text)
