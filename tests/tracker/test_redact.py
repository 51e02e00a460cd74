"""Passwords in addresses are masked, however odd they are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.redact import redact


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("rtsp://admin:s3cret@10.0.0.2:554/ch1", "rtsp://***@10.0.0.2:554/ch1"),
        ("http://10.0.0.2/video", "http://10.0.0.2/video"),
        ("rtsp://10.0.0.2:554/h264?channel=1", "rtsp://10.0.0.2:554/h264?channel=1"),
        (
            "gate: lost (Connection refused); trying again in 0.7 s",
            "gate: lost (Connection refused); trying again in 0.7 s",
        ),
        ("at 12:30:05 the camera was lost", "at 12:30:05 the camera was lost"),
    ],
)
def test_what_is_shown(text, shown):
    assert redact(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "lost rtsp://u:s3cret@h/x again",
        "RTSP://u:s3cret@h/x",
        "rtsp://u:s3cret@x@h/path",
        "rtsp://u:a/s3cret@h/path",
        "rtsp://u:a?s3cret@h/path",
        "rtsp://u:a#s3cret@h/path",
        "rtsp://u:a:s3cret@h/path",
        "rtsp://u:a b s3cret@h/path",
        "rtsp://:s3cret@h",
        "rtsp://h/cam/realmonitor?channel=1&u=admin&p=s3cret",
        "http://h/mjpg?loginuse=admin&loginpas=s3cret",
        "http://h/live?jwt=s3cret",
        "http://h/live?accessToken=s3cret&x=1",
        "rtmp://h/live?streamkey=s3cret",
        "http://h/x?a=1&pw=s3cret",
        "http://h/x;jsessionid=s3cret",
        "rtsp://s3cret@h",
        "'rtsp://u:s3cret@[fe80::1]:554/x'",
        "rtsps://u:%73s3cret%40@h",
        "http://h/cgi?user=admin&password=s3cret&channel=1",
        "http://h/cgi?USR=a;PWD=s3cret",
        "rtsp://h/user=admin_password=s3cret_channel=1_stream=0.sdp",
        "http://h/x?access_token=s3cret",
        "http://h/x?api_key=s3cret#y",
        "http://proxy/?url=rtsp%3A%2F%2Fu%3As3cret%40h%2Fx",
        "http://proxy/?url=rtsp%253A%252F%252Fu%253As3cret%2540h",
        "HTTP error, sent Authorization: Basic s3cret",
        "admin:s3cret@10.0.0.5 refused",
        "rtsp://a:b@h1/x and rtsp://u:s3cret@h2/y",
        "[Errno 111] rtsp://u:s3cret@h: 'refused'\nrtsp://u:s3cret@h",
    ],
)
def test_a_password_is_never_shown(text):
    assert "s3cret" not in redact(text)
    assert redact(redact(text)) == redact(text)


@given(st.text(st.characters(blacklist_characters="\r\n", blacklist_categories=["Cs"]), min_size=1, max_size=20))
def test_any_password(password):
    shown = redact(f"gate: rtsp://admin:{password}#S3@10.0.0.2:554/ch1")
    assert shown == "gate: rtsp://***@10.0.0.2:554/ch1"


LONG = 200_000
"""Characters at which a pattern that takes the square of them would take many minutes, and the test's time is over."""


@pytest.mark.parametrize(
    "text",
    [
        "_" * LONG,
        "-" * LONG,
        "a" * LONG,
        "a." * LONG,
        "_-" * LONG,
        "password" * LONG,
        "a://" * LONG,
        "a:" * LONG,
        "-:-" * LONG,
        "a:b@" * LONG,
        "@" * LONG,
        "a@" * LONG + " ",
        "%25" * LONG,
        "%" + "25" * LONG,
        "%3a%2f%2f" * LONG,
        "%3a" + "%2525" * LONG,
        "%3a%2f%2f" + "%25" * LONG,
        "authorization:" * LONG,
        "authorization:" + " " * LONG + '"',
        "authorization: " + "a" * LONG + '"',
        "authorization: a" + " " * LONG + '"',
        "?p=" * LONG,
        "&" * LONG,
        "\n://" * LONG,
        " " * LONG,
        "'" * LONG,
        "/:" * LONG,
        "*:" * LONG,
    ],
    ids=lambda text: repr(text[:12]),
)
def test_no_text_takes_long(text):
    text = text[:LONG]
    hidden = redact(f"{text} rtsp://u:s3cret@h/x\n{text}")
    assert "s3cret" not in hidden
    assert len(hidden) <= 2 * len(text) + 30
