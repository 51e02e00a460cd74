"""Where sources lie: names with colons, `file://`, recordings over HTTP, refusals, passwords as people write them."""

import base64
import os
import socket
import threading
from contextlib import contextmanager

import pytest

from tests.tracker.sources.media import encode, pictures
from tests.tracker.sources.web import handler, serve
from tracker import SourceError, open_source
from tracker.redact import redact
from tracker.sources.places import local_path, network_address


def count(place, **options):
    with open_source(place, **options) as source:
        return sum(1 for _ in source)


@pytest.mark.parametrize("name", ["12:30:00.mp4", "2024-05-01T12:30:00.mp4", "[a] 100%.mp4", "größe #1?.mp4", "-x.mp4"])
def test_any_name_of_a_file(tmp_path, monkeypatch, name):
    encode(tmp_path / "a.mp4", pictures(5))
    os.rename(tmp_path / "a.mp4", tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert count(name) == count(tmp_path / name) == 5
    assert count((tmp_path / name).as_uri()) == 5


def test_a_file_address_of_a_folder_and_of_another_machine(tmp_path):
    (tmp_path / "a b").mkdir()
    encode(tmp_path / "a b" / "1.mp4", pictures(3))
    assert local_path(f"file://localhost{tmp_path}/a%20b") == tmp_path / "a b"
    with pytest.raises(SourceError, match="no images in it"):
        open_source((tmp_path / "a b").as_uri())
    with pytest.raises(SourceError, match=r"files of another machine \(nas\)"):
        open_source("file://nas/video.mp4")
    with pytest.raises(SourceError, match="no such file"):
        open_source((tmp_path / "none.mp4").as_uri())


@pytest.mark.parametrize("length", [1, 300, 5000])
def test_a_name_that_no_system_can_have(length):
    with pytest.raises(SourceError, match="no such file"):
        open_source("x" * length)


def recording(content, **options):
    return handler(lambda client: client.send(content, **options))


@pytest.mark.parametrize("name", ["a.webm", "a.mkv", "a.ts", "a.mp4"])
def test_a_recording_over_http_ends_whatever_its_container_says(tmp_path, name):
    live = {"container": {"live": "1"}} if name.endswith(("webm", "mkv")) else {}
    codec = {"codec": "libvpx", "options": {"deadline": "realtime", "g": "10"}} if name == "a.webm" else {}
    fast = {"container": {"movflags": "faststart"}} if name == "a.mp4" else {}
    content = encode(tmp_path / name, pictures(20), **live, **codec, **fast).read_bytes()
    with serve(recording(content)) as address:
        source = open_source(f"{address}/{name}")
        with source:
            assert not source.live
            assert sum(1 for _ in source) == 20
            assert source.problem is None


def test_a_file_that_is_sent_without_its_length_ends_where_its_container_knows_its_own(tmp_path):
    content = encode(tmp_path / "a.mkv", pictures(20)).read_bytes()
    with serve(recording(content, length=False)) as address:
        assert count(f"{address}/a.mkv") == 20


def test_a_recording_whose_connection_breaks_is_told(tmp_path):
    content = encode(tmp_path / "a.mkv", pictures(40)).read_bytes()

    def answer(client):
        client.send_response(200)
        client.send_header("Content-Length", str(len(content)))
        client.end_headers()
        client.wfile.write(content[: len(content) // 2])

    with serve(handler(answer)) as address, open_source(f"{address}/a.mkv") as source:
        assert 0 < sum(1 for _ in source) < 40
    assert source.problem


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
def test_a_refusal_is_told_at_once(status):
    asked = []

    def answer(client):
        asked.append(1)
        client.send_error(status)

    with serve(handler(answer)) as address, pytest.raises(SourceError, match=str(status)[0]):
        open_source(address.replace("://", "://admin:s3cret@") + "/missing.mp4")
    assert 1 <= len(asked) <= 2


def test_a_server_that_is_not_ready_is_asked_again(tmp_path):
    content = encode(tmp_path / "a.ts", pictures(100)).read_bytes()
    asked, said = [], []

    def answer(client):
        asked.append(1)
        if len(asked) <= 2:
            client.send_error(503)
        else:
            client.send(content, length=False)

    with serve(handler(answer)) as address:
        source = open_source(f"{address}/live.ts", report=said.append, max_frames=1)
        with source:
            assert source.live
            assert sum(1 for _ in source) == 1
    assert "503" in said[0] or "5XX" in said[0]


@contextmanager
def refusing_rtsp(status):
    """A server that answers every request of RTSP with a refusal."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve_all():
            while True:
                try:
                    client, _ = server.accept()
                except OSError:
                    return
                with client:
                    request = client.recv(4096).decode()
                    number = next((line for line in request.splitlines() if line.startswith("CSeq")), "CSeq: 1")
                    client.sendall(f"RTSP/1.0 {status}\r\n{number}\r\n\r\n".encode())

        threading.Thread(target=serve_all, daemon=True).start()
        yield f"rtsp://admin:s3cret@127.0.0.1:{server.getsockname()[1]}/camera"
        server.shutdown(socket.SHUT_RDWR)


def test_a_refusal_of_rtsp_is_told_at_once_without_the_password():
    with refusing_rtsp("404 Not Found") as address, pytest.raises(SourceError, match="404 Not Found") as caught:
        open_source(address)
    assert "s3cret" not in str(caught.value)


def test_nobody_there_is_waited_for():
    said = []
    source = open_source("rtsp://127.0.0.1:9/x", report=said.append)
    assert source.live
    assert "lost (Connection refused); trying again" in said[0]
    source.close()


@pytest.mark.parametrize("password", ["pa#ss", "a/b", "a?b", "p@ss", "w%d", "p s", "ü:x", "#/?@% &=+", "100%25"])
def test_a_password_reaches_the_server_as_it_is(tmp_path, password):
    content = encode(tmp_path / "a.ts", pictures(10)).read_bytes()
    given = []

    def answer(client):
        login = client.headers.get("Authorization")
        if login is None:
            client.send_response(401)
            client.send_header("WWW-Authenticate", 'Basic realm="x"')
            client.end_headers()
            return
        given.append(base64.b64decode(login.split()[1]).decode())
        client.send(content)

    with serve(handler(answer)) as address:
        assert count(address.replace("://", f"://admin:{password}@") + "/a.ts?x=a@b.c") == 10
    assert set(given) == {f"admin:{password.replace('%25', '%')}"}


@pytest.mark.parametrize(
    "address",
    [
        "rtsp://h/x",
        "rtsp://admin:p%23s@h:554/s?x=1#y",
        "http://h/x?mail=a@b.c",
        "http://[::1]:80/x",
        "http://u:p@host/@me/x.mp4",
        "http://camera:8080/stream@2",
        "http://10.0.0.2:8080/a@b.c/d",
        "udp://@239.0.0.1:1234",
        "udp://@:1234",
        "srt://:9000?mode=listener",
    ],
)
def test_an_address_that_is_right_stays_as_it_is(address):
    assert network_address(address) == address


@pytest.mark.parametrize(
    "address", ["rtsp://", "rtsp://admin:a/b", "rtsp://admin:12/s3cret@10.0.0.5/s", "rtsp://h/a\nb"]
)
def test_an_address_that_cannot_be_right_is_refused_without_telling_the_password(address):
    with pytest.raises(SourceError) as caught:
        network_address(address)
    assert "%2F" in str(caught.value) or "line breaks" in str(caught.value)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    "address", ["rtsp://admin:pa#s3cret@h/x", "rtsp://admin:a/s3cret@h/x", "rtsp://admin:a s3cret@h/x"]
)
def test_the_encoded_password_is_masked_too(address):
    assert "s3cret" not in redact(network_address(address))
