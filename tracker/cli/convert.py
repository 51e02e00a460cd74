"""`reacquire convert`: boxes with ids from one format to another."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from tracker.cli.console import stderr, stdout

EPILOG = """
[bold]Formats[/]

  mot            MOTChallenge text, a file NAME.txt a sequence (frames from 1)

  motchallenge   MOTChallenge folders, NAME/gt/gt.txt with NAME/seqinfo.ini

  coco           COCO-VID JSON, one file for all sequences

  cvat           CVAT for video 1.1, a file NAME.xml a sequence

  kitti          KITTI tracking labels, a file NAME.txt a sequence

  parquet        one file for all sequences; also what `reacquire track` saves

  csv            one file with a header, for spreadsheets; also what `reacquire track` saves

  jsonl          JSON Lines; also what `reacquire track` saves

  yolo           folder of labels that Ultralytics' trackers save (in only; needs --size)

[bold]Examples[/]

  reacquire convert MOT17/train ground-truth.json

  reacquire convert task.xml MOT-style/ --to motchallenge --rate 25

  reacquire convert runs/detect/track/labels tracks.txt --from yolo --size 1920x1080

  reacquire convert tracks.parquet kitti/ --to kitti

  reacquire convert tracks.parquet tracks.csv                      [dim]# for a spreadsheet[/]
"""


def convert(
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="File or folder to read.")],
    target: Annotated[Path, typer.Argument(metavar="TARGET", help="File or folder to write.")],
    read_as: Annotated[
        str | None, typer.Option("--from", metavar="FORMAT", help="Of SOURCE; told from the file where it is missing.")
    ] = None,
    write_as: Annotated[
        str | None, typer.Option("--to", metavar="FORMAT", help="Of TARGET; told from its suffix, mot for a folder.")
    ] = None,
    size: Annotated[
        str | None, typer.Option("--size", metavar="WxH", help="Of the pictures, where SOURCE does not say.")
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option("--rate", metavar="FPS", min=0.001, max=1e6, help="Frames a second, where SOURCE does not say."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace TARGET if it is there.")] = False,
) -> None:
    """Convert boxes with ids between MOTChallenge, COCO-VID, CVAT, KITTI, Parquet, CSV, JSON Lines and YOLO labels."""
    from tracker.errors import DataError
    from tracker.formats.registry import convert as convert_files

    pixels = re.fullmatch(r"([1-9][0-9]{0,5})[x×]([1-9][0-9]{0,5})", size) if size else None
    if size and pixels is None:
        raise typer.BadParameter(f"expected WIDTHxHEIGHT, such as 1920x1080, got {size}", param_hint="--size")
    full = target.is_dir() and any(target.iterdir())
    if not overwrite and (full or target.is_file()):
        raise DataError(f"{target}: is there already; --overwrite replaces it")
    tables, notes = convert_files(
        source,
        target,
        read_as=read_as,
        write_as=write_as,
        size=(int(pixels[1]), int(pixels[2])) if pixels else None,
        rate=rate,
    )
    for line in notes.lines:
        stderr.print(line, style="yellow", highlight=False, markup=False, soft_wrap=True)
    boxes, ids = sum(map(len, tables)), sum(len(set(table.id.tolist()) - {-1}) for table in tables)
    stdout.print(
        f"{target}: {len(tables)} sequence{'s' * (len(tables) != 1)}, {boxes:,} boxes, {ids:,} ids",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
