"""A format is a module and one line in the registry: every verb then has it."""

import subprocess
import sys

SCRIPT = """
import sys, types
from pathlib import Path

from tracker.formats import registry
from tracker.formats.registry import Format

# The one line.
registry.FORMATS["pipes"] = Format("pipes, a file a sequence", "pipes", (".pipes",), saved="tracks.pipes")
registry.BY_SUFFIX[".pipes"] = "pipes"

from tracker.formats.table import make_table, write_text
from tracker.formats.text import lines_of, number, read_bytes

# The module.
module = types.ModuleType("tracker.formats.pipes")

def read(path, notes):
    rows = [[number(field) for field in line.split("|")] for line in lines_of(read_bytes(path)) if line]
    frame, ids, *box = zip(*rows)
    return [make_table(path, path.stem, frame=frame, id=ids, xyxy=list(zip(*box)))]

def write_sequence(path, table, notes):
    rows = zip(table.frame.tolist(), table.id.tolist(), table.xyxy.tolist())
    text = "".join("|".join(map(str, (f, i, *box))) + "\\n" for f, i, box in rows)
    write_text(path, text)

def run_lines(frame, tracks, names):
    rows = zip(tracks.id.tolist(), tracks.xyxy.tolist())
    return ["|".join(map(str, (frame.index, i, *box))) for i, box in rows]

module.read, module.write_sequence, module.run_lines, module.CARRIES = read, write_sequence, run_lines, frozenset()
sys.modules[module.__name__] = module

import numpy as np
from tracker.cli.app import app
from tracker.evaluation.evaluate import evaluate
from tracker.formats.table import Notes
from tracker.run.refinement import refine_run
from tracker.sinks import open_sink
from tracker.types import Detections, Frame, Tracks
from typer.testing import CliRunner

folder = Path(sys.argv[1])
sinks = [open_sink(name, folder) for name in ("pipes", "parquet")]
for index in (0, 1, 3):
    tracks = Tracks([1], [[5, 5, 50, 90]], [0.9], [0], [0], [1])
    for sink in sinks:
        sink.write(Frame(np.empty((0, 0, 3), np.uint8), index, index / 10), Detections.empty(), tracks)
for sink in sinks:
    sink.close()
assert [path.name for path in refine_run(folder, "both")] == ["tracks.refined.parquet", "tracks.refined.pipes"]
for arguments in (["tracks.pipes", "a.txt"], ["a.txt", "b.pipes"], ["b.pipes", "c.json"]):
    done = CliRunner().invoke(app, ["convert", *(str(folder / name) for name in arguments)])
    assert done.exit_code == 0, done.output
for truth in ("a.txt", "b.pipes", "c.json", "tracks.parquet"):
    assert evaluate(folder / truth, folder / "tracks.pipes")["combined"].summary()["HOTA"] > 0.999
notes = Notes()
registry.FORMATS["pipes"].write(folder / "some", registry.read_tables(folder / "tracks.parquet", None, notes), notes)
assert (folder / "some/tracks.pipes").is_file()
assert notes.lines == ["pipes has no place for scores, classes and times: left out"], notes.lines
print((folder / "tracks.refined.pipes").read_text())
"""


def test_a_format_that_is_added_is_known_to_every_verb(tmp_path):
    command = [sys.executable, "-c", SCRIPT, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [f"{frame}|1|5.0|5.0|50.0|90.0" for frame in range(4)]
