"""What can go wrong in re-identification, as types. The message of each says what, where, and what to do."""


class ReidError(Exception):
    """Base of every error that a user can cause or mend; the command line prints its message and exits 1."""


class ConfigError(ReidError, ValueError):
    """A setting is unknown, of the wrong type or out of range."""


class WeightsError(ReidError):
    """Weights are missing, of the wrong architecture, damaged, or not safe to load."""


class ExportError(WeightsError):
    """A network uses an operation that ONNX does not have; it runs in torch alone."""


class DataError(ReidError, ValueError):
    """A data set or array is not what was expected: missing folder, wrong shape, NaN."""


class TrainingError(ReidError):
    """A training cannot go on: the loss is no number, or its checkpoint is of something else."""
