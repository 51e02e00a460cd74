"""What can go wrong, as types: those that `reid` shares, and those of frames."""

try:
    from reid.errors import ConfigError, DataError, ReacquireError, WeightsError, WriteError
except ModuleNotFoundError as error:  # the name belongs to another project on the package index too
    raise ImportError(
        "`import reid` finds another project's package, not that of reacquire; run: pip uninstall reid, then reinstall "
        "reacquire"
    ) from error

__all__ = ["ConfigError", "DataError", "ReacquireError", "SourceError", "WeightsError", "WriteError"]


class SourceError(ReacquireError):
    """A video, folder or stream cannot be opened, or broke while it was read."""
