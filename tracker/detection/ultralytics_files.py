"""Files that Ultralytics reads: which of them are data, and which could run code when they are loaded.

Ultralytics goes by a file's name: by its suffix it takes one loader or another, some of which run what the file says,
and it takes blanks, apostrophes and more out of names, so that another file is loaded than was looked at. Here the
content decides; Ultralytics then gets a link whose name says what the content is.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from reid.file_kind import Kind, kind_of
from reid.pickled import look_through
from tracker.detection.ultralytics_settings import online
from tracker.errors import WeightsError

SUFFIX: dict[Kind, str] = {
    "checkpoint": ".pt",
    "onnx": ".onnx",
    "openvino": "_openvino_model",
    "ncnn": "_ncnn_model",
    "torchscript": ".torchscript",
    "tensorrt": ".engine",
}
"""By which Ultralytics knows what a file is."""
DATA = ("checkpoint", "onnx", "openvino", "ncnn")
"""Kinds that are numbers and the names of known layers; a checkpoint, once it has been looked through."""
CODE: dict[Kind, str] = {
    "torchscript": "a TorchScript program",
    "tensorrt": "a TensorRT engine, which may bring code of its own",
    "other": "damaged, or of a kind that is not known to be plain data",
}
_LAYERS = ("torch.nn.modules", "ultralytics.nn.modules")
_MODULES = {
    *_LAYERS,
    "ultralytics.nn.tasks",
    "ultralytics.nn.distill_model",
    "ultralytics.utils.loss",
    "ultralytics.utils.tal",
    "torchvision.transforms.transforms",
}
_NAMESPACES = {"ultralytics.utils.IterableSimpleNamespace", "ultralytics.yolo.utils.IterableSimpleNamespace"}
_PATHS = {f"{module}.{kind}Path" for module in ("pathlib", "pathlib._local") for kind in ("Posix", "Windows")}
_MODE = "torchvision.transforms.functional.InterpolationMode"
_loading = threading.Lock()


def find(weights: str) -> Path:
    """The weights' path; a bare name that Ultralytics knows is downloaded, where there is a network.

    Raises:
        WeightsError: there are none.
    """
    path = Path(weights)
    with suppress(OSError, ValueError):  # names that no file can have
        if path.exists():
            return path
    from ultralytics.utils.downloads import GITHUB_ASSETS_NAMES, attempt_download_asset

    if path.name != weights or weights not in GITHUB_ASSETS_NAMES:
        raise WeightsError(f"{weights}: no such weights; `person` is the name of the bundled ones")
    try:
        with online():
            path = Path(attempt_download_asset(weights))
    except (OSError, RuntimeError) as error:
        raise WeightsError(_offline(weights)) from error
    if not path.exists():
        raise WeightsError(_offline(weights))
    return path


def _offline(weights: str) -> str:
    return (
        f"{weights}: not on this machine, and it cannot be downloaded (no network?); bring the file, "
        "or leave --detector out for the bundled `person`, which needs none"
    )


def judge(path: Path, *, trust: bool) -> Kind:
    """What a file is; refused if it holds no weights, or could run code and is not trusted.

    Raises:
        WeightsError: says why, and how to load it all the same, where that can be.
    """
    kind = kind_of(path)
    if kind == "empty":
        raise WeightsError(f"{path}: damaged: an empty file; bring it again")
    if kind == "text":
        raise WeightsError(
            f"{path}: no weights, but text: damaged, or the description of a network (YAML), which has no weights to "
            "detect with"
        )
    if trust:
        return kind
    if kind not in DATA:
        raise WeightsError(f"{path}: refused: {CODE[kind]}, and could run code when it is loaded; {_TRUST}")
    if kind == "checkpoint":
        try:
            look_through(path, may_restore=_may_restore, may_call=_may_call)
        except WeightsError as error:
            raise WeightsError(f"{error}; {_TRUST}") from error
    return kind


_TRUST = "if you trust where it comes from, add --trust-weights, or `trust: true` to the detector's settings"


def _may_restore(name: str) -> bool:
    """Layers of torch and Ultralytics, by the rules of its own reader of plain data, which has the last word."""
    module = name.rpartition(".")[0]
    return (module in _MODULES or module.rpartition(".")[0] in _LAYERS) and name not in _NAMESPACES


def _may_call(name: str, values: tuple[Any, ...]) -> bool:
    """What checkpoints of Ultralytics call beside tensors; no values are given where the name alone is judged."""
    if name in _NAMESPACES:
        return not values  # made empty, then given its values
    if name == "builtins.getattr":  # `Detect.forward`, `InterpolationMode.BILINEAR`
        word = values[1] if len(values) == 2 else None
        return not values or word in ("forward", "forward_fuse") or (isinstance(word, str) and word.isupper())
    return name in _PATHS or name == _MODE


@contextmanager
def data_only(*, trust: bool) -> Iterator[None]:
    """Ultralytics loads checkpoints as data inside, unless they are trusted.

    What a checkpoint may name then is known to torch in the whole process; it is forgotten at the end, since other
    readers have stricter rules.
    """
    import torch
    from ultralytics.nn import tasks

    with _loading:
        before, known = tasks.SAFE_LOAD, torch.serialization.get_safe_globals()
        tasks.SAFE_LOAD = not trust
        try:
            yield
        finally:
            tasks.SAFE_LOAD = before
            added = set(torch.serialization.get_safe_globals()) - set(known)
            own = [entry for entry in added if not _named(entry).startswith(_OF_CHECKPOINTS)]
            torch.serialization.clear_safe_globals()
            torch.serialization.add_safe_globals([*known, *own])


_OF_CHECKPOINTS = ("ultralytics.", "torch.nn.", "torchvision.", "builtins.", "pathlib.", "numpy")


def _named(entry: Any) -> str:
    """What an entry of torch's list of harmless things is called in a checkpoint."""
    return str(entry[1]) if isinstance(entry, tuple) else f"{entry.__module__}.{entry.__qualname__}"


class NamedLink:
    """A link to weights under a name that says what they are, in a folder of its own; gone with this object, or before.

    Args:
        path: of the weights.
        kind: what they are.
        beside: files of the same folder that they need, relative to it.
    """

    def __init__(self, path: Path, kind: Kind, beside: tuple[str, ...] = ()) -> None:
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        if kind not in SUFFIX:  # trusted, of a kind that Ultralytics alone knows, by its name
            self.path = path.absolute()
            return
        self._folder = tempfile.TemporaryDirectory(prefix="reacquire-", ignore_cleanup_errors=True)
        self.path = Path(self._folder.name) / ("weights" + SUFFIX[kind])
        whole = path.resolve()
        for target, link in [(whole, self.path), *((whole.parent / b, self.path.parent / b) for b in beside)]:
            link.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.symlink(target, link, target_is_directory=target.is_dir())
            except OSError:  # Windows, without the right to
                shutil.copytree(target, link) if target.is_dir() else shutil.copy2(target, link)

    def close(self) -> None:
        """Take the link away, once what it leads to has been read."""
        if self._folder is not None:
            self._folder.cleanup()
