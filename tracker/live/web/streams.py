"""Answers without an end: so many at a time, each ended when its reader is gone or has not read for long."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from urllib.parse import quote

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from tracker.live.web.feed import News
from tracker.live.web.pictures import Picture
from tracker.live.web.problems import problem

PATIENCE = 20.0
"""Seconds that a reader may take for one piece."""
BOUNDARY = "picture"
MULTIPART = f"multipart/x-mixed-replace; boundary={BOUNDARY}"


class Places:
    """So many readers of a kind at a time."""

    def __init__(self, most: int) -> None:
        self.most, self.taken = most, 0


class Stream(Response):
    """An endless answer.

    Args:
        content: its pieces; closed in any case.
        media_type: of it.
        places: one is taken while it lasts; without a free one the answer is 503.
        allowed: whether the reader may go on; asked before each piece, since a login ends.
    """

    def __init__(
        self, content: AsyncGenerator[bytes], media_type: str, places: Places, allowed: Callable[[], bool]
    ) -> None:
        super().__init__(media_type=media_type, headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._content, self._places, self._allowed = content, places, allowed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._places.taken >= self._places.most:
            detail = f"{self._places.most} viewers are here already; web.max_viewers says how many may be"
            await problem(503, detail, headers={"Retry-After": "10"})(scope, receive, send)
            return
        self._places.taken += 1
        tasks = {asyncio.create_task(self._send(send)), asyncio.create_task(_gone(receive))}
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._places.taken -= 1
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _send(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        async with aclosing(self._content):
            async for piece in self._content:
                if not self._allowed():
                    break
                async with asyncio.timeout(PATIENCE):
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def multipart(pictures: AsyncGenerator[Picture]) -> AsyncGenerator[bytes]:
    """Motion JPEG: parts that replace one another, each with its camera's name (as in a URL) and its time."""
    yield f"--{BOUNDARY}\r\n".encode()
    async with aclosing(pictures):
        async for picture in pictures:
            head = (
                f"Content-Type: image/jpeg\r\nContent-Length: {len(picture.jpeg)}\r\n"
                f"X-Camera: {quote(picture.camera, safe='')}\r\nX-Number: {picture.number}\r\n"
                f"X-Arrived: {picture.arrived:.3f}\r\n\r\n"
            )
            # The boundary goes out with the picture before it: browsers show a part when they see its end.
            yield b"".join([head.encode(), picture.jpeg, f"\r\n--{BOUNDARY}\r\n".encode()])


async def server_sent(news: AsyncGenerator[News]) -> AsyncGenerator[bytes]:
    """Server-sent events; a browser comes back by itself, and says after which event."""
    yield b"retry: 2000\n\n"
    async with aclosing(news):
        async for item in news:
            yield item.encode()
