"""`reacquire explain`: why a track ended, and why another began."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tracker.cli.console import stdout

EPILOG = """
[bold]Example[/]

  reacquire track street.mp4 --explain --out runs/street

  reacquire explain runs/street --ended 7 --began 12
"""


def explain(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run made with --explain, or its table.")],
    ended: Annotated[int | None, typer.Option("--ended", metavar="ID", help="Why did this track end?")] = None,
    began: Annotated[int | None, typer.Option("--began", metavar="ID", help="Why did this track begin?")] = None,
) -> None:
    """Say in words which detections a lost track was compared with, at what cost, and what was near a new one."""
    from tracker.association.explain import why
    from tracker.sinks.record import FILE, read_record

    if ended is None and began is None:
        raise typer.BadParameter("give an id to --ended, to --began, or to both")
    record = read_record(run / FILE if run.is_dir() else run)
    stdout.print(why(record, ended=ended, began=began), highlight=False, markup=False, soft_wrap=True)
