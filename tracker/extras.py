"""Packages that not everybody needs."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from tracker.errors import ReacquireError


@contextmanager
def needed(what: str, extra: str) -> Generator[None]:
    """Turn an import that fails into an error that says what to install.

    Args:
        what: is to be done, as a subject: `the page`.
        extra: of pyproject.toml, which brings the packages.

    Raises:
        ReacquireError: a package is missing, or too old.
    """
    try:
        yield
    except ImportError as error:
        package = (error.name or "a package").partition(".")[0]
        raise ReacquireError(f"{what} needs {package}: pip install 'reacquire[{extra}]'") from error
