"""How often somebody may try to log in: so many at once, then slowly; by address and all together."""

from __future__ import annotations

import ipaddress
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(slots=True)
class _Bucket:
    """Tries left, and when that was counted."""

    left: float
    at: float


class Throttle:
    """Token buckets: one for each address (IPv6: each /64, which one customer has), and one for all of them.

    Args:
        burst: tries at once from one address.
        refill: seconds until one more.
        overall: tries at once from everybody together; one more each second.
        remembered: addresses; the one not heard of for longest is forgotten first, so that memory is bounded.
    """

    def __init__(
        self,
        burst: int = 5,
        refill: float = 30.0,
        overall: int = 60,
        remembered: int = 4096,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._burst, self._refill, self._overall, self._remembered = burst, refill, overall, remembered
        self._clock, self._lock = clock, threading.Lock()
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()
        self._all = _Bucket(float(overall), clock())

    def attempt(self, address: str) -> float:
        """Take one try: 0 when it may go ahead, else the seconds to wait before the next."""
        key, now = network(address), self._clock()
        with self._lock:
            bucket = self._buckets.pop(key, None) or _Bucket(float(self._burst), now)
            self._buckets[key] = bucket
            if len(self._buckets) > self._remembered:
                self._buckets.popitem(last=False)
            _fill(bucket, now, self._burst, 1 / self._refill)
            _fill(self._all, now, self._overall, 1.0)
            wait = max((1 - bucket.left) * self._refill, 1 - self._all.left, 0.0)
            if wait == 0.0:
                bucket.left -= 1
                self._all.left -= 1
            return wait

    def forgive(self, address: str) -> None:
        """The try was good: it and those before it no longer count."""
        with self._lock:
            self._buckets.pop(network(address), None)
            self._all.left = min(self._all.left + 1, self._overall)

    def __len__(self) -> int:
        """Addresses that are remembered."""
        return len(self._buckets)


def _fill(bucket: _Bucket, now: float, most: float, rate: float) -> None:
    bucket.left = min(bucket.left + (now - bucket.at) * rate, most)
    bucket.at = now


def network(address: str) -> str:
    """What counts as one address: an IPv4 address, or a network of 64 bits of IPv6; `unknown` of what is neither."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    if parsed.version == 4:
        return str(parsed)
    mapped = parsed.ipv4_mapped
    return str(mapped or ipaddress.ip_network((int(parsed) >> 64 << 64, 64)))
