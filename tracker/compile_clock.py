"""When this process compiles, and for how long: told to who waits, and left out of measurements of speed.

Apart from `tracker.compiled`, so that who asks need not load the compiler.
"""

from __future__ import annotations

import time
from collections.abc import Callable

COMPILING = "compiling for this machine, which happens once and takes some ten seconds …"
"""What there is to say when it begins."""


class CompileClock:
    """Counts the time that this process compiles.

    Attributes:
        seconds: of wall time, without what is being compiled now.
        functions: that were compiled as a whole, none of which the cache had.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self.functions = 0
        self._begun: float | None = None
        self._listeners: list[Callable[[], None]] = []

    @property
    def running(self) -> bool:
        """Whether this process is compiling now."""
        return self._begun is not None

    def tell(self, listener: Callable[[], None]) -> None:
        """Have `listener` called once, on the thread that compiles, when compiling really begins; perhaps never."""
        self._listeners.append(listener)

    def now(self) -> float:
        """Seconds on a clock that stands still while this process compiles: for the speed of everything else."""
        begun = self._begun
        return (time.perf_counter() if begun is None else begun) - self.seconds

    def begin(self) -> None:
        """A function that the cache does not have is compiled from now on."""
        self._begun = time.perf_counter()
        while self._listeners:
            self._listeners.pop(0)()

    def end(self) -> float:
        """It is compiled; how many seconds that took."""
        begun, self._begun = self._begun, None
        took = 0.0 if begun is None else time.perf_counter() - begun
        self.seconds += took
        self.functions += 1
        return took


clock = CompileClock()
"""That of this process."""
