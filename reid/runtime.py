"""Running networks: devices, hashes, a cache for what can be made again, ONNX export."""

from __future__ import annotations

import hashlib
import io
import os
import re
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reid.errors import ExportError, WeightsError
from reid.files import replacing, writing

if TYPE_CHECKING:
    import onnxruntime
    from torch import Tensor, nn

THREADS = "REACQUIRE_THREADS"
"""Environment variable: threads that a network takes on the CPU, for those who run several processes."""


def choose_device(device: str) -> str:
    """`auto` as what this machine has; a device that it lacks is refused.

    Raises:
        WeightsError: a GPU is asked for and there is none.
    """
    if device == "cpu" or (device == "auto" and not _may_have_gpu()):
        return "cpu"
    import torch

    if device == "auto":
        return "cuda:0" if torch.cuda.is_available() else "cpu"
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise WeightsError(f"device {device}: torch sees no CUDA GPU here; take cpu, or run `reacquire doctor`")
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise WeightsError(
            f"device {device}: expected auto, cpu, or one that torch has here, like cuda:0 ({reason})"
        ) from error
    return device


def _may_have_gpu() -> bool:
    """Whether it is worth asking torch, which takes seconds to import."""
    if "torch" in sys.modules or not sys.platform.startswith("linux"):
        return True
    return any(Path(place).exists() for place in ("/dev/nvidia0", "/dev/dxg", "/dev/kfd", "/proc/driver/nvidia"))


def sha256(path: Path) -> str:
    """Of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def cache_folder() -> Path | None:
    """This user's folder for Reacquire's cache, made if need be; None where none can be written.

    `REACQUIRE_CACHE` names another one; otherwise it is where the system keeps such things.
    """
    said = os.environ.get("REACQUIRE_CACHE")
    try:
        folder = Path(said) if said else _users_cache() / "reacquire"
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):  # the second: a user without a home, as in a container
        return None
    return folder if os.access(folder, os.W_OK) else None


def _users_cache() -> Path:
    """Where the system keeps what this user's programs can make again."""
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


def cached(folder: Path, name: str, write: Callable[[Path], None]) -> Path:
    """A file of the cache, made anew where it is missing or damaged.

    Its name ends in the hash of its content, by which damage is known, whatever came between.

    Args:
        folder: of the cache.
        name: of what it is, and of which version.
        write: makes it at a path with the suffix `.onnx`.

    Raises:
        WriteError: a full disk, say.
    """
    with writing(folder / name):
        for path in sorted(folder.glob(f"{name}-*.onnx")):
            if path.stem.rpartition("-")[2] == sha256(path)[:16]:
                return path
            path.unlink(missing_ok=True)
        partial = folder / f".{name}-{os.getpid()}-{threading.get_ident()}.onnx"
        try:
            write(partial)
            path = folder / f"{name}-{sha256(partial)[:16]}.onnx"
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    return path


def export_onnx(
    network: nn.Module,
    path: Path,
    *,
    example: tuple[Tensor, ...],
    inputs: Sequence[str],
    outputs: Sequence[str],
    dynamic: dict[str, dict[int, str]],
    metadata: dict[str, str] | None = None,
) -> None:
    """Write a network as ONNX; the file is whole or not there.

    Args:
        network: in evaluation mode, on the CPU.
        path: of the file.
        example: of the inputs.
        inputs: their names.
        outputs: the outputs' names.
        dynamic: axes that may have any length, by input or output.
        metadata: words to keep inside.
    """
    import torch

    try:
        with warnings.catch_warnings():
            # The tracing exporter is called old by torch, but it is the one that needs no further package.
            warnings.simplefilter("ignore")
            # When it fails it writes the whole graph to stdout, where the command line's results go; not so here.
            getattr(torch._C, "_jit_set_onnx_log_output_stream", lambda _: None)("stderr")
            graph = io.BytesIO()  # since torch takes no name that is not Unicode
            torch.onnx.export(
                network,
                example,
                graph,  # type: ignore[arg-type]  # its stub forgets files
                input_names=list(inputs),
                output_names=list(outputs),
                dynamic_axes=dynamic,
                opset_version=17,
                dynamo=False,
            )
        content = graph.getvalue()
        if metadata:
            import onnx

            model = onnx.load_from_string(content)
            onnx.helper.set_model_props(model, metadata)
            content = model.SerializeToString()
    except torch.onnx.OnnxExporterError as error:
        raise ExportError(f"this network cannot be written as ONNX, it runs in torch alone: {error}") from error
    with replacing(path, contended=True) as partial:
        partial.write_bytes(content)


@contextmanager
def onnx_errors(what: str) -> Iterator[None]:
    """What ONNX Runtime raises inside, as an error of ours that begins with what it is about."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    own = [kind for kind in vars(state).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    expected: tuple[type[Exception], ...] = (*own, RuntimeError, ValueError, TypeError, MemoryError)
    try:
        yield
    except expected as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:300]
        raise WeightsError(f"{what}: damaged, or not a network that ONNX Runtime can run ({reason})") from error


def onnx_device(device: str) -> str:
    """`auto` as what this ONNX Runtime has; a device that it lacks is refused.

    Raises:
        WeightsError: anything but the CPU, or a CUDA GPU where the runtime is built for one.
    """
    import onnxruntime

    cuda = "CUDAExecutionProvider" in onnxruntime.get_available_providers()
    if device == "auto":
        return "cuda:0" if cuda and _may_have_gpu() else "cpu"
    if device != "cpu" and not (cuda and re.fullmatch(r"cuda(:[0-9]{1,3})?", device)):
        raise WeightsError(
            f"device {device}: the ONNX Runtime here runs on {'cpu and cuda' if cuda else 'the CPU alone'}; take cpu, "
            "or install onnxruntime-gpu in place of onnxruntime"
        )
    return device


def onnx_session(model: Path | bytes, device: str = "cpu") -> onnxruntime.InferenceSession:
    """An ONNX file, or its content, ready to run on a device that `onnx_device` gave."""
    import onnxruntime

    options: Any = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # what goes wrong is raised, and need not be written to stderr too
    options.intra_op_num_threads = int(os.environ.get(THREADS, "0"))  # 0: all there are
    # Idle threads would spin in wait for work and take the processor from the next network, and from decoding.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    source: str | bytes | Path = model
    if isinstance(model, Path):  # the runtime takes no name that is not Unicode
        source = str(model) if str(model).isprintable() else model.read_bytes()
    providers: list[Any] = ["CPUExecutionProvider"]
    if device != "cpu":
        providers.insert(0, ("CUDAExecutionProvider", {"device_id": int(device.partition(":")[2] or 0)}))
    # Without a second try on the same processor, which would be told on stdout, where results go.
    return onnxruntime.InferenceSession(source, options, providers=providers, enable_fallback=0)
