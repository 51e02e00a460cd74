"""What a file of cameras takes from the environment is never shown, wherever it was put."""

import pytest

from tracker.errors import ConfigError
from tracker.live.environment import Environment, no_secrets
from tracker.live.settings import load_live_settings, single_source

CAMERA = "cameras:\n  - {name: a, source: rtsp://h/x}\n"
SECRETS = ("s3cretpw", "s3cr/et@p#w", "a'b\"c\\dé", "x" * 200, "a:b c", "qz", "7f", "//srv//x", "${OTHER}", "-1.5e3")


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize(
    "text",
    [
        "cameras:\n  - {name: a, source: '${P}'}\n",
        "cameras:\n  - {name: a, source: 'viewer:${P}@h'}\n",
        "cameras:\n  - {name: a, source: 'rtsp:/u:${P}@h'}\n",
        "cameras:\n  - {name: a, source: 'rtps://u:${P}@h'}\n",
        "cameras:\n  - {name: a, source: ['rtsp://u:${P}@h']}\n",
        "cameras:\n  - {name: '&${P}', source: 'rtsp://h'}\n",
        "cameras:\n  - {name: a, source: 'rtsp://h', tracker: '${P}'}\n",
        "cameras:\n  - {name: a, source: 'rtsp://h', transport: '${P}'}\n",
        "cameras:\n  - {name: a, source: 'rtsp://h', target_fps: 'x${P}'}\n",
        "cameras:\n  - {name: a, source: 'rtsp://h', classes: '${P}'}\n",
        "cameras:\n  - {name: a, source: 'rtsp://h', zones: '${P}'}\n",
        "cameras:\n  - {name: a, source: 'rtsp://h', zones: [{name: z, polygon: ['${P}', [0, 0], [1, 1]]}]}\n",
        "cameras: '${P}'\n",
        "defaults: '${P}'\n" + CAMERA,
        CAMERA + "webhook: '${P}'\n",
        CAMERA + "webhook: {url: '${P}'}\n",
        CAMERA + "webhook: {url: 'htp://u:${P}@h'}\n",
        CAMERA + "webhook: {url: 'http://h', token: ['${P}']}\n",
        CAMERA + "webhook: {url: 'http://h', kinds: ['${P}']}\n",
        CAMERA + "mqtt: '${P}'\n",
        CAMERA + "mqtt: {host: h, port: 'x${P}'}\n",
        CAMERA + "mqtt: {host: h, username: ['${P}']}\n",
        CAMERA + "mqtt: {host: h, topic: '# ${P}'}\n",
        CAMERA + "device: 'x${P}'\n",
        CAMERA + "web: {host: ['${P}']}\n",
        CAMERA + "web: {secure_cookie: 'x${P}'}\n",
    ],
)
def test_no_error_shows_what_the_environment_holds(tmp_path, text, secret):
    path = tmp_path / "c.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_live_settings(path, {"P": secret})
    said = str(caught.value).replace(str(path), "")
    assert secret not in said.replace("${P}", "").replace("cameras.", "")
    assert "p#w" not in said
    assert caught.value.__cause__ is None


def test_the_error_shows_what_the_file_says(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("cameras:\n  - {name: a, source: 'rtsp://h', transport: 'x${P}y'}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"transport: expected 'tcp' or 'udp', got 'x\$\{P\}y'$"):
        load_live_settings(path, {"P": "s3cretpw"})


@pytest.mark.parametrize(
    "text",
    [
        CAMERA + "webhook: 's3cretpw'\n",
        CAMERA + "mqtt: 's3cretpw'\n",
        CAMERA + "web: 's3cretpw'\n",
        CAMERA + "mqtt: {host: h, username: [s3cretpw]}\n",
        CAMERA + "mqtt: {host: h, password: [s3cretpw]}\n",
        CAMERA + "mqtt: {host: h, password: *s3cretpw}\n",
        CAMERA + "mqtt: {host: h, password: !s3cretpw}\n",
        "cameras:\n  - {name: a, source: 'xhttp://h/x/s3cretpw/live'}\n",
        "cameras:\n  - {name: a, source: 'rtsp:/u:s3cretpw/@p#w@h'}\n",
        "cameras:\n  - {name: a, source: 'u:s3cretpw/p#w@h'}\n",
    ],
)
def test_secrets_in_the_file_itself_are_not_shown_either(tmp_path, text):
    path = tmp_path / "c.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_live_settings(path, {})
    assert "s3cret" not in str(caught.value)
    assert "p#w" not in str(caught.value)


@pytest.mark.parametrize("source", ["rtps://u:s3cretpw@h", "u:s3cret/pw@h/x", "rtsp:/u:s3cretpw@p#w@h"])
def test_nor_by_the_command_line(source):
    with pytest.raises(ConfigError) as caught:
        single_source(source)
    assert "s3cret" not in str(caught.value)
    assert "p#w" not in str(caught.value)


def test_a_name_that_is_not_set_is_named():
    with pytest.raises(ConfigError, match=r"f: mqtt: \$\{GONE\} is not in the environment; set GONE"):
        Environment({}).fill({"mqtt": ["${GONE}"]}, "f")


def test_short_values_are_hidden_as_words_only():
    with pytest.raises(ConfigError, match=r"line 1x: port \$\{N\} is odd"), no_secrets({"N": "1"}) as known:
        known.fill("${N}", "f")
        raise ConfigError("line 1x: port 1 is odd")


def test_a_secret_of_digits_keeps_its_zeros(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text(CAMERA + "mqtt: {host: h, username: 12, password: 0123456}\n", encoding="utf-8")
    mqtt = load_live_settings(path, {}).mqtt
    assert mqtt.password.get_secret_value() == "0123456"
    assert mqtt.username == "12"
