"""What can go wrong, as types, for both packages. The message of each says what, where, and what to do."""


class ReacquireError(Exception):
    """Base of every error that a user can cause or mend; the command line prints its message and exits 1."""


class ConfigError(ReacquireError, ValueError):
    """A setting is unknown, of the wrong type or out of range."""


class WeightsError(ReacquireError):
    """Weights are missing, of the wrong architecture, damaged, or not safe to load."""


class ExportError(WeightsError):
    """A network uses an operation that ONNX does not have; it runs in torch alone."""


class DataError(ReacquireError, ValueError):
    """Rows, arrays or data sets that do not mean what they must: wrong shape, NaN, negative size, duplicate id."""


class WriteError(ReacquireError):
    """A file cannot be written: the disk is full, the folder may not be written, or is not there."""


class TrainingError(ReacquireError):
    """A training cannot go on: the loss is no number, or its checkpoint is of something else."""
