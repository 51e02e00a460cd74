"""Where calibrations are kept: inside weights files, beside them, or in files of their own."""

from __future__ import annotations

import shutil
from pathlib import Path

from safetensors.numpy import load_file, save_file

from reid.calibration.calibration import MOST_LETTERS, Calibration
from reid.embedder import weights_path
from reid.errors import WeightsError
from reid.file_kind import kind_of
from reid.files import replacing
from reid.weights_file import read_metadata

KEY = "calibration"
"""In the metadata of a weights file."""


def load_calibration(weights: str | Path = "default") -> Calibration:
    """What the distances of an embedder mean.

    Args:
        weights: "default" (bundled), a weights file, or a calibration as JSON. Of a weights file, what it carries
            inside counts, or else the file that `beside` names.

    Returns:
        An unknown calibration where there is none: no distance is evidence then.

    Raises:
        WeightsError: missing or damaged.
    """
    path = weights_path(weights)
    if not path.is_file():
        raise WeightsError(f"{path}: no such weights or calibration; `default` is the name of the bundled ones")
    kind = kind_of(path)
    if kind == "text":
        return Calibration.from_json(_text(path), str(path))
    inside = read_metadata(path).get(KEY) if kind == "safetensors" else None
    if inside is not None:
        return Calibration.from_json(inside, str(path))
    sidecar = beside(path)
    return Calibration.from_json(_text(sidecar), str(sidecar)) if sidecar.is_file() else Calibration.unknown()


def write_calibration(path: Path, calibration: Calibration) -> Path:
    """Put a calibration where `load_calibration` finds it.

    Args:
        path: of weights: safetensors take it inside, in place of one that they have, and others get a file beside them;
            or of a `.json` file to write.
        calibration: to keep.

    Returns:
        The file that was written, whole.

    Raises:
        WeightsError: the weights are missing or damaged.
    """
    if path.suffix != ".json":
        if kind_of(path) == "safetensors":
            _put_inside(path, calibration)
            return path
        path = beside(path)
    with replacing(path) as partial:
        partial.write_text(calibration.to_json() + "\n", encoding="utf-8")
    return path


def _put_inside(path: Path, calibration: Calibration) -> None:
    """Into the metadata of safetensors, tensors as they are."""
    metadata = read_metadata(path) | {KEY: calibration.to_json()}
    with replacing(path) as partial:
        save_file(load_file(path), partial, metadata=metadata)
        shutil.copymode(path, partial)


def beside(weights: Path) -> Path:
    """The calibration's file of weights that cannot carry it: `NAME.calibration.json`."""
    return weights.with_suffix(".calibration.json")


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > 4 * MOST_LETTERS:
            raise WeightsError(f"{path}: too large for a calibration")
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise WeightsError(f"{path}: cannot be read ({error})") from error
