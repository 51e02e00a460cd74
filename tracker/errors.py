"""What can go wrong, as types. The message of each says what, where, and what to do."""


class ReacquireError(Exception):
    """Base of every error that a user can cause or mend; the command line prints its message and exits 1."""


class SourceError(ReacquireError):
    """A video, folder or stream cannot be opened, or broke while it was read."""


class ConfigError(ReacquireError, ValueError):
    """A setting is unknown, of the wrong type or out of range."""


class WeightsError(ReacquireError):
    """Weights are missing, of the wrong architecture, damaged, or not safe to load."""


class DataError(ReacquireError, ValueError):
    """Rows or arrays that do not mean what they must: wrong shape, NaN, negative size, duplicate id."""
