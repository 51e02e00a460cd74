"""Where events go: a file that is turned over, a webhook, an MQTT broker."""

from __future__ import annotations

import json
import logging
import random
import threading
import time
import urllib.error
import urllib.request
from base64 import b64encode
from collections import deque
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

from tracker.extras import needed
from tracker.live.events import as_json
from tracker.live.outlet import Outlet
from tracker.live.settings import EventsFileSettings, MqttSettings, WebhookSettings
from tracker.live.status import Event
from tracker.redact import redact

log = logging.getLogger("reacquire.live")
AT_ONCE = 100
"""Events in one request."""


class EventsFile(Outlet[Event]):
    """Events as JSON Lines in `events.jsonl`; a full file is put aside as `events-TIME.jsonl`."""

    def __init__(self, folder: Path, settings: EventsFileSettings) -> None:
        super().__init__("events file", 10_000)
        self.path = folder / "events.jsonl"
        self._limit, self._keep = int(settings.max_mb * 1e6), settings.keep

    def handle(self, item: Event) -> None:
        line = json.dumps(as_json(item), ensure_ascii=False) + "\n"
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a+b") as file:
            if file.tell() and file.tell() + len(line.encode()) > self._limit:
                self._turn_over()
                return self.handle(item)
            if file.tell():  # a killed process may have left half a line
                file.seek(-1, 2)
                line = line if file.read(1) == b"\n" else "\n" + line
            file.write(line.encode())
        return None

    def _turn_over(self) -> None:
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
        self.path.replace(self.path.with_name(f"events-{stamp}.jsonl"))
        aside = sorted(self.path.parent.glob("events-*.jsonl"))
        for old in aside[: -self._keep]:
            old.unlink()


class Webhook:
    """Posts events, several at a time and in order, until the server takes them; the oldest go when too many wait.

    A refusal that a repetition will not mend (4xx but 408, 425 and 429) drops what was refused, and says so.
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
            if len(self._waiting) >= self._settings.queue:
                self._waiting.popleft()
                self.dropped += 1
            self._waiting.append(event)
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
                batch = [self._waiting[i] for i in range(min(AT_ONCE, len(self._waiting)))]
                last = self._stopped
            if not batch:
                return
            problem = self._post(batch)
            if problem is None:
                failures = 0
                if self.trouble is not None:
                    log.info("webhook: goes on")
                self.trouble = None
                self._done(batch)
                self.sent += len(batch)
                continue
            if last:
                log.warning("webhook: %s; %d events are not delivered", problem, len(self._waiting))
                return
            if self.trouble is None:
                log.warning("webhook: %s; tried again", problem)
            self.trouble = problem
            failures += 1
            pause = min(0.5 * 2 ** min(failures - 1, 20), self._settings.longest_pause) * random.uniform(0.5, 1.0)
            with self._changed:
                self._changed.wait_for(lambda: self._stopped, pause)

    def _done(self, batch: list[Event]) -> None:
        """Take away what was sent; some of it may have been dropped meanwhile."""
        with self._changed:
            while self._waiting and self._waiting[0].number <= batch[-1].number:
                self._waiting.popleft()

    def _post(self, batch: list[Event]) -> str | None:
        """Send; what went wrong and may be tried again, or None."""
        body = json.dumps({"events": [as_json(event) for event in batch]}).encode()
        request = urllib.request.Request(self._address, body, self._headers)
        try:
            with urllib.request.urlopen(request, timeout=self._settings.timeout_seconds):
                return None
        except urllib.error.HTTPError as error:
            if 400 <= error.code < 500 and error.code not in (408, 425, 429):
                log.warning("webhook: refused with %d: %d events are dropped", error.code, len(batch))
                self.dropped += len(batch)
                return None
            return f"the server answers {error.code}"
        except (OSError, ValueError) as error:
            return redact(str(getattr(error, "reason", error)))


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
        self.trouble: str | None = "not connected yet"
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
        self.dropped += said.rc == 15  # the queue is full

    def stop(self) -> None:
        """Say goodbye."""
        if self._client.is_connected():
            self._client.publish(self._status, "offline", qos=1, retain=True)

    def join(self, timeout: float) -> None:
        """Wait, not for long, until the goodbye has gone."""
        end = time.monotonic() + timeout
        while self._client.is_connected() and self._client.want_write() and time.monotonic() < end:
            time.sleep(0.01)
        self._client.disconnect()
        self._client.loop_stop()

    def _on_connect(self, client: Any, data: Any, flags: Any, reason: Any, properties: Any) -> None:
        if reason.is_failure:
            self.trouble = f"the broker refuses: {reason}"
            log.warning("mqtt: %s", self.trouble)
            return
        self.trouble = None
        log.info("mqtt: connected")
        client.publish(self._status, "online", qos=1, retain=True)

    def _on_disconnect(self, client: Any, data: Any, flags: Any, reason: Any, properties: Any) -> None:
        if reason.is_failure:
            self.trouble = f"lost: {reason}"
            log.warning("mqtt: %s; connecting again", self.trouble)
