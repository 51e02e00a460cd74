"""`reacquire doctor`: what this machine has and what is missing."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from tracker.cli.console import print_json, stderr, stdout

MARKS = {"good": Text("✓", "green"), "note": Text("!", "yellow"), "bad": Text("✗", "red")}


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
    warm: Annotated[bool, typer.Option("--warm", help="Compile all recipes now, so that no first run waits.")] = False,
) -> None:
    """Say what this machine has, what is missing, and what to do about it. Exits 1 if something will not work."""
    from tracker.doctor import examine

    if warm:
        from tracker.warm import warm_up

        for name, seconds in warm_up():
            stderr.print(f"{name}: {'compiled in ' if seconds > 1 else 'ready in '}{seconds:.1f} s", highlight=False)
    findings = examine()
    if as_json:
        print_json({"findings": [asdict(finding) for finding in findings]})
    else:
        table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
        for finding in findings:
            table.add_row(MARKS[finding.verdict], finding.subject, finding.words)
        stdout.print(table, highlight=False)
    raise typer.Exit(1 if any(finding.verdict == "bad" for finding in findings) else 0)
