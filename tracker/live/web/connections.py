"""Connections by number and by time: who has not logged in takes no place of who has, and who says nothing goes.

Whoever connects is a guest until a request of theirs is let through with a login. Guests have places of their own;
where these are taken, the newcomer gets that of the guest who has been there for longest, of the address that holds
most. So whoever says at once what they want is answered, however many others hold connections and say nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterable
from typing import cast

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from tracker.live.web.guard import KNOWN
from tracker.live.web.throttle import network

HEAD_SECONDS = 5.0
"""Within which a request's head has to come, and what is left of a body that nobody waits for any more."""
MOST_GUESTS = 100


class Connection(H11Protocol):
    """HTTP/1.1 with bounds that uvicorn does not have."""

    most_known = 300
    _hang_up: asyncio.TimerHandle | None = None
    _known = False
    since, address = 0.0, "unknown"

    @property
    def known(self) -> bool:
        """Whether the last request that was judged came with a login, or none is asked for."""
        if self.scope is not None:
            self._known = cast("bool", self.scope.get(KNOWN, self._known))
        return self._known

    @property
    def waiting(self) -> bool:
        """Whether it is for the client to go on: no request is being answered."""
        return self.cycle is None or self.cycle.response_complete

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a place, and start the clock."""
        super().connection_made(transport)
        self.since = time.monotonic()
        self.address = network(self.client[0]) if self.client else "unknown"
        self._start_clock()
        here = [one for one in cast("set[Connection]", self.connections) if not one.transport.is_closing()]
        _make_room([one for one in here if not one.known], MOST_GUESTS)
        known = [one for one in here if one.known]
        if len(known) > self.most_known:
            _make_room([one for one in known if one.waiting] or known, 0)

    def data_received(self, data: bytes) -> None:
        """Stop the clock when a head is whole; start it with the first byte of the next."""
        before = self.scope
        super().data_received(data)
        if self.scope is not before:
            self.since = time.monotonic()
        if self.conn.their_state is not h11.IDLE and not self._unwanted_body():
            self._stop_clock()
        elif self._hang_up is None and not self.transport.is_closing():
            self._start_clock()

    def on_response_complete(self) -> None:
        """Start it too where the rest of a body is still to come, which is read and thrown away."""
        super().on_response_complete()
        if self._hang_up is None and self._unwanted_body():
            self._start_clock()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing left to hang up on."""
        self._stop_clock()
        super().connection_lost(exc)

    def _unwanted_body(self) -> bool:
        return self.conn.their_state is h11.SEND_BODY and self.cycle is not None and self.cycle.response_complete

    def _start_clock(self) -> None:
        self._hang_up = self.loop.call_later(HEAD_SECONDS, self.transport.abort)

    def _stop_clock(self) -> None:
        if self._hang_up is not None:
            self._hang_up.cancel()
            self._hang_up = None


def _make_room(connections: Iterable[Connection], most: int) -> None:
    """Where there are more than may be, hang up on the oldest one of the address that holds most."""
    found = list(connections)
    if len(found) > most:
        held = Counter(one.address for one in found)
        max(found, key=lambda one: (held[one.address], -one.since)).transport.abort()
