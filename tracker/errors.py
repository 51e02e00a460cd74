"""What can go wrong, as types: those that `reid` shares, and those of frames."""

from reid.errors import ConfigError, DataError, ReacquireError, WeightsError, WriteError

__all__ = ["ConfigError", "DataError", "ReacquireError", "SourceError", "WeightsError", "WriteError"]


class SourceError(ReacquireError):
    """A video, folder or stream cannot be opened, or broke while it was read."""
