"""What a login is made of: settings that refuse to be unsafe, hashes, sessions, the throttle."""

import pytest
from pydantic import SecretStr

from tracker.config import load_settings
from tracker.errors import ConfigError
from tracker.live.web import passwords
from tracker.live.web.sessions import Sessions
from tracker.live.web.settings import WebSettings
from tracker.live.web.throttle import Throttle

TOKEN = "a-token-of-more-than-twenty"


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture(autouse=True)
def quick_hashes(monkeypatch):
    monkeypatch.setattr(passwords, "COST", 2**10)


def test_loopback_needs_no_login():
    for host in ("127.0.0.1", "::1", "localhost", "127.8.9.1"):
        WebSettings(host=host).check()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "cameras.example"])
def test_beyond_loopback_a_login_is_required(host):
    with pytest.raises(ConfigError, match="hash-password"):
        WebSettings(host=host).check()
    WebSettings(host=host, token=TOKEN).check()
    WebSettings(host=host, password_hash=passwords.hash_password("correct horse")).check()


def test_a_name_behind_a_proxy_needs_a_login_too():
    with pytest.raises(ConfigError, match="proxy"):
        WebSettings(allowed_hosts=("cameras.example",)).check()
    WebSettings(allowed_hosts=("localhost",)).check()


@pytest.mark.parametrize(
    "name", ["https://cameras.example", "cameras.example:443", "cameras.example/", "a b", "", "::1"]
)
def test_a_name_is_a_host_and_no_more(name):
    with pytest.raises(ConfigError, match=r"allowed_hosts\.0: expected a name such as cameras\.example\.org"):
        load_settings(WebSettings, {"allowed_hosts": [name]})
    load_settings(WebSettings, {"allowed_hosts": ["Cameras.example", "10.0.0.7", "[fe80::7]"]})


def test_weak_secrets_are_refused():
    with pytest.raises(ConfigError, match="shorter than 20"):
        WebSettings(token="short").check()
    for bad in ("", "hunter2", "scrypt$16384$8$1$AAAA$BBBB", "scrypt$1073741824$8$1$" + "A" * 24 + "$" + "A" * 44):
        with pytest.raises(ConfigError, match="not a hash of ours"):
            WebSettings(password_hash=bad).check()
    with pytest.raises(ConfigError, match="8 to 1024"):
        passwords.hash_password("seven77")


def test_secrets_come_from_the_environment_and_show_nowhere():
    settings = WebSettings(token="of-the-file-of-the-file").with_environment({"REACQUIRE_TOKEN": TOKEN})
    assert settings.token == SecretStr(TOKEN)
    assert TOKEN not in repr(settings) + str(settings.model_dump()) + settings.model_dump_json()
    with pytest.raises(ConfigError) as caught:
        load_settings(WebSettings, {"tokn": TOKEN})
    assert "did you mean 'token'" in str(caught.value)


def test_hash_is_salted_and_only_the_password_fits():
    one, two = passwords.hash_password("correct horse"), passwords.hash_password("correct horse")
    assert one != two
    assert "horse" not in one
    assert passwords.verify_password("correct horse", one)
    assert not passwords.verify_password("correct horsf", one)
    assert not passwords.verify_password("", one)
    assert passwords.verify_password("pässwörd \U0001f40e", passwords.hash_password("pässwörd \U0001f40e"))


def test_the_hash_is_plain_scrypt():
    """Against the test vector of RFC 7914, section 12: password "pleaseletmein", salt "SodiumChloride"."""
    vector = bytes.fromhex(
        "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2"
        "d5432955613f0fcf62d49705242a9af9e61e85dc0d651e40dfcf017b45575887"
    )
    assert passwords._scrypt("pleaseletmein", b"SodiumChloride", 16384, 8, 1) == vector[:32]


def test_sessions_expire_end_and_stay_few():
    clock = Clock()
    sessions = Sessions(60, most=3, clock=clock)
    name = sessions.begin()
    assert sessions.holds(name)
    assert not sessions.holds("")
    assert name.encode() not in b"".join(sessions._ends)
    clock.now += 61
    assert not sessions.holds(name)
    names = [sessions.begin() for _ in range(5)]
    assert len(sessions) == 3
    assert [sessions.holds(n) for n in names] == [False, False, True, True, True]
    sessions.end(names[-1])
    assert not sessions.holds(names[-1])


def test_throttle_by_address():
    clock = Clock()
    throttle = Throttle(burst=3, refill=30, clock=clock)
    assert [throttle.attempt("10.0.0.1") for _ in range(3)] == [0, 0, 0]
    assert 0 < throttle.attempt("10.0.0.1") <= 30
    assert throttle.attempt("10.0.0.2") == 0
    clock.now += 30.1
    assert throttle.attempt("10.0.0.1") == 0
    assert throttle.attempt("10.0.0.1") > 0
    throttle.forgive("10.0.0.1")
    assert throttle.attempt("10.0.0.1") == 0


def test_throttle_counts_an_ipv6_network_as_one_address():
    throttle = Throttle(burst=1, clock=Clock())
    assert throttle.attempt("2001:db8::1") == 0
    assert throttle.attempt("2001:db8::ffff") > 0
    assert throttle.attempt("2001:db8:0:1::1") == 0
    assert throttle.attempt("::ffff:10.0.0.1") == 0
    assert throttle.attempt("10.0.0.1") > 0


def test_throttle_over_all_addresses_with_bounded_memory():
    clock = Clock()
    throttle = Throttle(burst=5, overall=60, remembered=100, clock=clock)
    granted = sum(throttle.attempt(f"10.1.{i // 250}.{i % 250}") == 0 for i in range(2000))
    assert granted == 60
    assert len(throttle) == 100
    clock.now += 10
    assert sum(throttle.attempt(f"10.2.0.{i}") == 0 for i in range(100)) == 10


def test_the_command_makes_a_hash_and_refuses_to_be_open():
    from typer.testing import CliRunner

    from tracker.cli.app import app

    made = CliRunner().invoke(app, ["live", "--hash-password"], input="correct horse\n")
    assert made.exit_code == 0
    assert passwords.verify_password("correct horse", made.stdout.strip())
    assert "horse" not in made.output
    nothing = CliRunner().invoke(app, ["live"])
    assert nothing.exit_code == 2
    opened = CliRunner().invoke(app, ["live", "rtsp://127.0.0.1:9/", "--host", "0.0.0.0"], env={"REACQUIRE_TOKEN": ""})
    assert opened.exit_code == 1
    assert isinstance(opened.exception, ConfigError)
    assert "without a login" in str(opened.exception)
