"""Events to a file, a webhook that fails, and a broker that dies."""

import base64
import json
import logging
import time
from datetime import datetime
from types import SimpleNamespace

import pytest

from tests.tracker.live.servers import broker, collector, free_port, serve, until
from tracker.live.events import EventLog
from tracker.live.outputs import EventsFile, Mqtt, Webhook
from tracker.live.settings import EventsFileSettings, MqttSettings, WebhookSettings


def tell(log, count, kind="entered"):
    for i in range(count):
        log.add(kind, "gate", track=i + 1, class_name="person")


def test_the_log_numbers_keeps_and_wakes():
    log = EventLog()
    tell(log, 3)
    log.add("camera_lost", "yard", data={"reason": "gone"})
    assert [e.number for e in log.recent(10)] == [1, 2, 3, 4]
    assert [e.number for e in log.recent(2)] == [3, 4]
    assert [e.number for e in log.recent(10, camera="yard")] == [4]
    assert [e.number for e in log.wait(2, 0)] == [3, 4]
    began = time.monotonic()
    assert log.wait(4, 0.1) == []
    assert time.monotonic() - began >= 0.1


def test_the_file_is_turned_over(tmp_path):
    log, out = EventLog(), EventsFile(tmp_path, EventsFileSettings(max_mb=0.001, keep=3))
    log.connect(out.put)
    out.start()
    tell(log, 100)
    out.stop()
    out.join(5)
    aside = sorted(tmp_path.glob("events-*.jsonl"))
    assert len(aside) == 3
    assert all(path.stat().st_size <= 1000 for path in [*aside, out.path])
    numbers = [json.loads(line)["number"] for path in [*aside, out.path] for line in path.read_text().splitlines()]
    assert numbers == list(range(numbers[0], 101))


def test_half_a_line_of_a_killed_process_stays_alone(tmp_path):
    (tmp_path / "events.jsonl").write_text('{"number": 1, "ki')
    out, log = EventsFile(tmp_path, EventsFileSettings()), EventLog(2)
    log.connect(out.put)
    out.start()
    tell(log, 1)
    out.stop()
    out.join(5)
    assert json.loads(out.path.read_text().splitlines()[1])["number"] == 2


def test_a_full_disk_is_told_once_and_events_wait_for_it(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(EventsFile, "RETRY_SECONDS", 0.2)
    log, out = EventLog(), EventsFile(tmp_path / "file", EventsFileSettings())
    (tmp_path / "file").write_text("not a folder")
    log.connect(out.put)
    out.start()
    with caplog.at_level(logging.INFO, "reacquire.live"):
        tell(log, 20)
        until(lambda: out.trouble, 5, "it is in trouble")
        time.sleep(0.7)
        (tmp_path / "file").unlink()
        until(lambda: out.path.exists() and out.trouble is None, 5, "it goes on")
        tell(log, 1)
    out.stop()
    out.join(5)
    assert [json.loads(line)["number"] for line in out.path.read_text().splitlines()] == list(range(1, 22))
    assert out.dropped == 0
    assert len([r for r in caplog.records if "tried again" in r.message]) == 1


def test_what_is_not_in_the_file_at_the_end_is_counted(tmp_path):
    log, out = EventLog(), EventsFile(tmp_path / "file", EventsFileSettings())
    (tmp_path / "file").write_text("not a folder")
    log.connect(out.put)
    out.start()
    tell(log, 20)
    until(lambda: out.trouble, 5, "it is in trouble")
    out.stop()
    out.join(5)
    assert out.dropped == 20


def test_a_line_that_does_not_fit_on_the_disk_leaves_no_half(tmp_path, files_no_larger_than, monkeypatch):
    monkeypatch.setattr(EventsFile, "RETRY_SECONDS", 0.2)
    log, out = EventLog(), EventsFile(tmp_path, EventsFileSettings())
    log.connect(out.put)
    with files_no_larger_than(1000):
        out.start()
        tell(log, 20)
        until(lambda: out.trouble, 5, "it is in trouble")
        assert "File too large" in out.trouble
        before = [json.loads(line)["number"] for line in out.path.read_text().splitlines()]
        assert before == list(range(1, len(before) + 1))
    until(lambda: out.trouble is None, 5, "it goes on")
    out.stop()
    out.join(5)
    assert [json.loads(line)["number"] for line in out.path.read_text().splitlines()] == list(range(1, 21))


def test_a_clock_that_is_set_back_deletes_no_fresh_file(tmp_path, monkeypatch):
    log, out = EventLog(), EventsFile(tmp_path, EventsFileSettings(max_mb=0.001, keep=3))
    days = iter([9, 9, 9, 0, 0, 0, 5, 5, 5, 5])
    real = time.time
    shift = {"seconds": 0.0}
    monkeypatch.setattr(time, "time", lambda: real() + shift["seconds"])
    monkeypatch.setattr(
        "tracker.live.outputs.datetime", SimpleNamespace(now=lambda zone: datetime.fromtimestamp(time.time(), zone))
    )
    for i in range(100):
        if i % 10 == 0:
            shift["seconds"] = next(days) * 86400.0
        tell(log, 1)
        out.handle(log.recent(1)[0])
    kept = [*tmp_path.glob("events-*.jsonl"), out.path]
    assert len(kept) == 4
    numbers = sorted(json.loads(line)["number"] for path in kept for line in path.read_text().splitlines())
    assert numbers == list(range(numbers[0], 101))


def webhook(address, **settings):
    out, log = Webhook(WebhookSettings(url=address, longest_pause=0.2, timeout_seconds=2, **settings)), EventLog()
    log.connect(out.put)
    out.start()
    return log, out


def numbers(handler):
    return [event["number"] for body in handler.bodies for event in body["events"]]


def test_a_webhook_that_fails_gets_everything_in_order_once_it_is_back():
    handler, port = collector(500, 503, 429), free_port()
    log, out = webhook(f"http://user:s3%40cret@127.0.0.1:{port}/hook")
    tell(log, 5)
    until(lambda: out.trouble, 5, "nobody listens")
    assert "s3cret" not in out.trouble
    with serve(handler, port):
        tell(log, 5)
        until(lambda: len(numbers(handler)) == 10, 10, "all events arrive")
    assert numbers(handler) == list(range(1, 11))
    assert handler.tokens[0] == "Basic " + base64.b64encode(b"user:s3@cret").decode()
    assert handler.bodies[0]["events"][0] | {"time": 0} == {
        "number": 1, "kind": "entered", "camera": "gate", "track": 1, "class_name": "person", "time": 0, "data": {},
    }  # fmt: skip
    out.stop()
    out.join(5)


def test_the_queue_of_a_dead_webhook_is_bounded():
    log, out = webhook(f"http://127.0.0.1:{free_port()}/", queue=10)
    tell(log, 1000)
    assert out.dropped == 990
    began = time.monotonic()
    out.stop()
    out.join(5)
    assert time.monotonic() - began < 1


def test_what_a_webhook_refuses_for_good_is_dropped():
    handler = collector(400)
    with serve(handler) as server:
        log, out = webhook(f"http://127.0.0.1:{server.server_port}/", kinds=("left",), token="t0ken")
        tell(log, 3)
        tell(log, 1, "left")
        until(lambda: out.dropped == 1, 5, "the first is refused")
        tell(log, 1, "left")
        until(lambda: numbers(handler) == [5], 5, "the next goes on")
        assert handler.tokens == ["Bearer t0ken"]
        out.stop()
        out.join(5)


@pytest.fixture
def listener():
    """Connects a subscriber to a port; returns what it heard."""
    import paho.mqtt.client as mqtt
    from paho.mqtt.enums import CallbackAPIVersion

    clients = []

    def listen(port):
        heard = []
        client = mqtt.Client(CallbackAPIVersion.VERSION2)
        client.on_connect = lambda c, *_: c.subscribe("site/#", qos=1)
        client.on_message = lambda _, __, message: heard.append((message.topic, message.payload.decode()))
        client.connect("127.0.0.1", port)
        client.loop_start()
        clients.append(client)
        return heard

    yield listen
    for client in clients:
        client.disconnect()
        client.loop_stop()


def test_mqtt_goes_on_when_the_broker_does(listener):
    port, log = free_port(), EventLog()
    out = Mqtt(MqttSettings(host="127.0.0.1", port=port, topic="site"))
    log.connect(out.put)
    out.start()  # before there is a broker
    tell(log, 2)
    with broker(port):
        heard = listener(port)
        until(lambda: ("site/status", "online") in heard, 10, "it is online")
        tell(log, 1)
        until(lambda: [t for t, _ in heard].count("site/gate/entered") >= 1, 10, "an event is heard")
        assert json.loads(heard[-1][1])["camera"] == "gate"
    until(lambda: out.trouble, 10, "the loss is noticed")
    tell(log, 1, "left")
    with broker(port):
        heard = listener(port)
        until(lambda: "site/gate/left" in [t for t, _ in heard] or out.trouble is None, 15, "it is back")
        tell(log, 1, "left")
        until(lambda: "site/gate/left" in [t for t, _ in heard], 10, "events are heard again")
        out.stop()
        out.join(2)
        until(lambda: ("site/status", "offline") in heard, 5, "it says goodbye")


def test_what_a_broker_never_took_is_counted():
    log, out = EventLog(), Mqtt(MqttSettings(host="127.0.0.1", port=free_port(), queue=3))
    log.connect(out.put)
    out.start()
    tell(log, 5)
    assert out.dropped == 2  # more than may wait
    assert out.trouble == "not connected yet"
    began = time.monotonic()
    out.stop()
    out.join(1)
    assert time.monotonic() - began < 10
    assert out.dropped == 5


def test_what_a_broker_took_is_not_counted_as_lost():
    port = free_port()
    with broker(port):
        log, out = EventLog(), Mqtt(MqttSettings(host="127.0.0.1", port=port))
        log.connect(out.put)
        out.start()
        until(lambda: out.trouble is None, 10, "it is connected")
        tell(log, 200)  # many more than are on their way at once
        out.stop()
        out.join(10)
    assert (out.dropped, out.undelivered) == (0, 0)
