"""`${NAME}` in a file of settings: filled from the environment, and never shown by an error."""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

from tracker.config import Written
from tracker.errors import ConfigError
from tracker.redact import redact

SHORT = 4
"""Values of fewer characters are hidden where they are whole words only."""


class Environment:
    """Fills texts, and remembers what it gave away.

    Args:
        values: by name.
    """

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values
        self._given: dict[str, str] = {}

    def fill(self, value: Any, where: str) -> Any:
        """`value` with `${NAME}` in its texts replaced.

        Raises:
            ConfigError: a name that is not in the environment.
        """
        if isinstance(value, Mapping):
            return {key: self.fill(item, f"{where}: {key}") for key, item in value.items()}
        if isinstance(value, list):
            return [self.fill(item, where) for item in value]
        if not isinstance(value, str):
            return value

        scheme, at = value.find("://"), value.rfind("@")

        def known(match: re.Match[str]) -> str:
            name = match[1]
            if name not in self._values:
                raise ConfigError(f"{where}: ${{{name}}} is not in the environment; set {name}")
            found = self._given[name] = self._values[name]
            of_user = 0 <= scheme <= match.start() - 3 and at >= match.end()
            return quote(found, safe="%") if of_user else found  # a password's / and @ would end the user, or the host

        filled = re.sub(r"\$\{(\w+)\}", known, value)
        return filled if filled == value else Written(filled, value)

    def hide(self, text: str) -> str:
        """`text` with all that was given away as it is written in the file."""
        spellings = {
            spelling: name
            for name, value in self._given.items()
            for spelling in (value, quote(value, safe="%"), repr(value)[1:-1], str(PurePath(value)))
            if spelling not in ("", ".")
        }
        for spelling in sorted(spellings, key=len, reverse=True):
            word = re.escape(spelling)
            pattern = word if len(spelling) >= SHORT else rf"(?<!\w){word}(?!\w)"
            shown = f"${{{spellings[spelling]}}}"
            text = re.sub(pattern, lambda _, shown=shown: shown, text)  # type: ignore[misc]
        return text


@contextmanager
def no_secrets(values: Mapping[str, str]) -> Generator[Environment]:
    """An environment to fill settings from; errors inside show neither what it gave nor a password in an address."""
    environment = Environment(values)
    try:
        yield environment
    except ConfigError as error:
        raise ConfigError(redact(environment.hide(str(error)))) from None  # the cause would show what this hides
