"""Where events go: a file that is turned over, a webhook, an MQTT broker."""

from __future__ import annotations

import http.client
import json
import logging
import math
import random
import threading
import time
import urllib.error
import urllib.request
from base64 import b64encode
from collections import deque
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit, urlunsplit

from reid.files import Growing
from tracker.extras import needed
from tracker.live.background_writer import BackgroundWriter
from tracker.live.events import as_json
from tracker.live.retention import Retention
from tracker.live.settings import EventsFileSettings, MqttSettings, WebhookSettings
from tracker.live.status import Event
from tracker.redact import redact

log = logging.getLogger("reacquire.live")
AT_ONCE = 100
"""Events in one request."""
QUEUE_FULL = 15
"""What paho says of a message that it does not keep."""
FULL_SECONDS = 60.0
"""So long it is told that events were dropped."""


class EventsFile(BackgroundWriter[Event]):
    """Events as JSON Lines in `events.jsonl`; a full file is put aside as `events-TIME.jsonl`.

    While it cannot be written events wait, and the oldest are dropped when too many do.
    """

    KEEPS = True

    def __init__(self, folder: Path, settings: EventsFileSettings) -> None:
        super().__init__("events file", 10_000)
        self.path = folder / "events.jsonl"
        self._limit, self._keep = int(settings.max_mb * 1e6), settings.keep
        self._aside = Retention()

    def handle(self, item: Event) -> None:
        line = (json.dumps(as_json(item), ensure_ascii=False) + "\n").encode(errors="backslashreplace")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        size = self.path.stat().st_size if self.path.exists() else 0
        if size and size + len(line) > self._limit:
            self._turn_over()
        with closing(Growing(self.path, "ab")) as file:
            half = file.size > 0 and _last_byte(self.path) != b"\n"  # a killed process may have left half a line
            file.append(b"\n" + line if half else line)

    def _turn_over(self) -> None:
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
        full = self.path.with_name(f"events-{stamp}.jsonl")
        self.path.replace(full)
        self._aside.wrote(full)
        for old in self._aside.in_order(self.path.parent.glob("events-*.jsonl"))[: -self._keep]:
            old.unlink()


def _last_byte(path: Path) -> bytes:
    with path.open("rb") as file:
        file.seek(-1, 2)
        return file.read(1)


@dataclass(frozen=True, slots=True)
class _Problem:
    """Why events were not taken, and whether trying again may help."""

    reason: str
    again: bool = True


class Webhook:
    """Posts events, several at a time and in order, until the server takes them; the oldest go when too many wait.

    Only a 2xx means taken. A refusal that a repetition will not mend (4xx but 408, 425 and 429) drops what was
    refused. A redirect is followed on the same server alone.

    Attributes:
        sent: events that the server took.
        dropped: events that it never will.
        trouble: what is wrong, or was at the last attempt, in words; None while all is well.
    """

    def __init__(self, settings: WebhookSettings) -> None:
        self.name, self.dropped, self.sent = "webhook", 0, 0
        self.trouble: str | None = None
        self._settings = settings
        self._address, user = without_user(settings.url.get_secret_value())
        self._headers = {"Content-Type": "application/json", "User-Agent": "reacquire"}
        if settings.token is not None:
            self._headers["Authorization"] = f"Bearer {settings.token.get_secret_value()}"
        elif user is not None:
            self._headers["Authorization"] = f"Basic {b64encode(user.encode()).decode()}"
        self._opener = urllib.request.build_opener(SameServer)
        self._waiting: deque[Event] = deque()
        self._changed = threading.Condition()
        self._stopped = False
        self._thread = threading.Thread(target=self._work, name=self.name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def put(self, event: Event) -> None:
        """Take an event; never waits."""
        if self._settings.kinds is not None and event.kind not in self._settings.kinds:
            return
        with self._changed:
            self._waiting.append(event)
            self._drop_oldest()
            self._changed.notify_all()

    def stop(self) -> None:
        """One last attempt, and no more."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def join(self, timeout: float) -> None:
        """Wait for the last attempt."""
        if self._thread.is_alive():
            self._thread.join(timeout)

    def _work(self) -> None:
        failures = 0
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._stopped)
                batch = [self._waiting.popleft() for _ in range(min(AT_ONCE, len(self._waiting)))]
                last = self._stopped
            if not batch:
                return
            problem = self._post(batch)
            self._account(batch, problem)
            failures = failures + 1 if problem is not None and problem.again else 0
            if failures and last:
                log.warning("webhook: %d events are not delivered", len(self._waiting))
                self.dropped += len(self._waiting)
                return
            if failures:
                pause = min(0.5 * 2 ** min(failures - 1, 20), self._settings.longest_pause) * random.uniform(0.5, 1.0)
                with self._changed:
                    self._changed.wait_for(lambda: self._stopped, pause)

    def _account(self, batch: list[Event], problem: _Problem | None) -> None:
        """Count what was sent or is lost, keep what is to be tried again, and say what is wrong."""
        if problem is None:
            if self.trouble is not None:
                log.info("webhook: goes on")
            self.trouble = None  # first: who sees that they are sent finds no trouble any more
            self.sent += len(batch)
            return
        reason = problem.reason
        if problem.again:
            with self._changed:
                self._waiting.extendleft(reversed(batch))
                self._drop_oldest()
        else:
            self.dropped += len(batch)
            reason += f"; {self.dropped} events are lost so far"
        if self.trouble is None:
            log.warning("webhook: %s%s", reason, "; tried again" if problem.again else "")
        self.trouble = reason

    def _drop_oldest(self) -> None:
        while len(self._waiting) > self._settings.queue:
            self._waiting.popleft()
            self.dropped += 1

    def _post(self, batch: list[Event]) -> _Problem | None:
        """Send; None when the server took it."""
        body = json.dumps({"events": [as_json(event) for event in batch]}).encode()
        try:
            request = urllib.request.Request(self._address, body, self._headers)
            with self._opener.open(request, timeout=self._settings.timeout_seconds):
                return None
        except urllib.error.HTTPError as error:
            with error:
                return _refusal(error.code, error.headers.get("Location"), error.url)
        except (OSError, ValueError, http.client.HTTPException) as error:
            return _Problem(redact(str(getattr(error, "reason", error)) or type(error).__name__))


def _refusal(code: int, location: str | None, address: str) -> _Problem:
    """What an answer other than 2xx means."""
    if 300 <= code < 400 and location is not None:
        there = origin(location, address)
        where = "itself" if there == origin(address) else f"{there or 'elsewhere'}, where nothing is sent"
        return _Problem(f"the server answers {code} and points to {where}: look after webhook.url")
    if 400 <= code < 500 and code not in (408, 425, 429):
        return _Problem(f"refused with {code}", again=False)
    return _Problem(f"the server answers {code}")


class SameServer(urllib.request.HTTPRedirectHandler):
    """Follows a redirect to the same server, with the same request; urllib would make a GET without the events of it,
    and take the secrets anywhere."""

    max_repeats, max_redirections = 1, 5

    def http_error_302(self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any) -> Any:
        """Where it leads; None where that is no address."""
        try:
            return super().http_error_302(req, fp, code, msg, headers)
        except ValueError:
            return None

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302

    def redirect_request(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        """The request that follows; None where none does."""
        if code == 303 or origin(newurl) != origin(req.full_url):  # 303: what was posted is to be asked for by GET
            return None
        return urllib.request.Request(newurl, req.data, req.headers, method=req.get_method())


def origin(address: str, base: str = "") -> str | None:
    """Scheme, host and port of an address, as in `https://host:8443`; None where it has none, or a user in it.

    Args:
        address: perhaps relative.
        base: to what.
    """
    try:
        parts = urlsplit(urljoin(base, address))
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        return None
    if not parts.hostname or port is None or "@" in parts.netloc:
        return None
    return f"{parts.scheme}://{parts.hostname.lower()}:{port}"


def without_user(address: str) -> tuple[str, str | None]:
    """An address without the user in it, and that as `user:password`."""
    parts = urlsplit(address)
    user, at, host = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=host)), unquote(user) if at else None


class Mqtt:
    """Publishes events to `TOPIC/CAMERA/KIND`, at least once each, across losses of the broker."""

    def __init__(self, settings: MqttSettings) -> None:
        with needed("mqtt in the file of cameras", "live"):
            import paho.mqtt.client as mqtt
            from paho.mqtt.enums import CallbackAPIVersion

        self.name, self.dropped = "mqtt", 0
        self._lost: str | None = "not connected yet"
        self._full_at = -math.inf
        self._given = self._greetings = self._taken = 0
        self._settings = settings
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="")
        if settings.username is not None:
            password = settings.password.get_secret_value() if settings.password else None
            self._client.username_pw_set(settings.username, password)
        if settings.tls:
            self._client.tls_set()
        self._status = f"{settings.topic}/status"
        self._client.will_set(self._status, "offline", qos=1, retain=True)
        self._client.max_queued_messages_set(settings.queue)
        self._client.reconnect_delay_set(1, 60)
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_publish = self._on_publish

    @property
    def trouble(self) -> str | None:
        """What is wrong now, in words; None while all is well."""
        if self._lost is None and time.monotonic() - self._full_at < FULL_SECONDS:
            return f"more events come than the broker takes; {self.dropped} are lost so far"
        return self._lost

    @property
    def undelivered(self) -> int:
        """Messages that the broker has not acknowledged yet."""
        return self._given + self._greetings - self._taken

    def start(self) -> None:
        """Begin; a broker that is not there yet is waited for."""
        self._client.connect_async(self._settings.host, self._settings.port, keepalive=30)
        self._client.loop_start()

    def put(self, event: Event) -> None:
        """Take an event; never waits."""
        if self._settings.kinds is not None and event.kind not in self._settings.kinds:
            return
        topic = f"{self._settings.topic}/{event.camera}/{event.kind}"
        said = self._client.publish(topic, json.dumps(as_json(event), ensure_ascii=False), qos=1)
        if said.rc == QUEUE_FULL:
            self.dropped += 1
            self._full_at = time.monotonic()
        else:
            self._given += 1

    def stop(self) -> None:
        """Say goodbye."""
        if self._client.is_connected():
            self._greet("offline")

    def join(self, timeout: float) -> None:
        """Wait, not for long, until the broker has taken all of it."""
        end = time.monotonic() + timeout
        while self._client.is_connected() and self.undelivered > 0 and time.monotonic() < end:
            time.sleep(0.01)
        if self.undelivered > 0:
            log.warning("mqtt: %d events are not delivered", self.undelivered)
            self.dropped += self.undelivered
        self._client.disconnect()
        # What waits in the network for a broker that is not there waits without us.
        leaving = threading.Thread(target=self._client.loop_stop, name="mqtt leaves", daemon=True)
        leaving.start()
        leaving.join(max(end - time.monotonic(), 0.1))

    def _greet(self, word: str) -> None:
        """Say it at once, also where too many events wait."""
        self._greetings += self._client.publish(self._status, word, qos=0, retain=True).rc == 0

    def _on_publish(self, client: Any, data: Any, mid: int, reason: Any, properties: Any) -> None:
        self._taken += 1

    def _on_connect(self, client: Any, data: Any, flags: Any, reason: Any, properties: Any) -> None:
        if reason.is_failure:
            self._lost = f"the broker refuses: {reason}"
            log.warning("mqtt: %s", self._lost)
            return
        self._lost = None
        log.info("mqtt: connected")
        self._greet("online")

    def _on_disconnect(self, client: Any, data: Any, flags: Any, reason: Any, properties: Any) -> None:
        if reason.is_failure:
            self._lost = f"lost: {reason}"
            log.warning("mqtt: %s; connecting again", self._lost)
