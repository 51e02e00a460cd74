"""`reacquire`: the verbs, put together."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from tracker import __version__
from tracker.cli import convert, demo, doctor, explain, live, mot, reid, track
from tracker.cli import eval as evaluation
from tracker.cli.console import tell_of_compiling
from tracker.errors import SourceError

app = typer.Typer(
    name="reacquire",
    help="Track everything in a video, and keep each identity: through occlusion, after leaving, across cameras.",
    epilog="First steps:  reacquire demo  ·  reacquire track street.mp4  ·  reacquire doctor",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(value: bool) -> None:
    if value:
        typer.echo(f"reacquire {__version__}")
        raise typer.Exit


@app.callback()
def _top(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and leave.")
    ] = False,
) -> None:
    tell_of_compiling()
    try:
        os.getcwd()
    except OSError as error:
        raise SourceError("the folder that you are in is gone, or may not be entered: cd to another one") from error


app.command("demo")(demo.demo)
app.command("track", epilog=track.EPILOG)(track.track)
app.command("explain", epilog=explain.EPILOG)(explain.explain)
app.command("live", epilog=live.EPILOG)(live.live)
app.command("eval", epilog=evaluation.EPILOG)(evaluation.evaluate)
app.command("convert", epilog=convert.EPILOG)(convert.convert)
app.add_typer(mot.app, name="mot")
app.add_typer(reid.app, name="reid")
app.command("doctor")(doctor.doctor)
