"""YAML as settings are written in it: odd scalars, bombs, and errors that show no values."""

import time

import pytest
import yaml

from tracker.errors import ConfigError
from tracker.yaml_file import DEEPEST, LARGEST, parse_yaml, read_yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("Yes", "Yes"),
        ("on", "on"),
        ("true", True),
        ("FALSE", False),
        ("~", None),
        ("", None),
        ("null", None),
        ("12", 12),
        ("-3", -3),
        ("+0", 0),
        ("0o17", 15),
        ("0x1F", 31),
        ("007", "007"),
        ("0123456", "0123456"),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        ("190:20:30.5", "190:20:30.5"),
        ("2024-01-01", "2024-01-01"),
        ("2024-01-01T10:00:00Z", "2024-01-01T10:00:00Z"),
        ("1e-5", 1e-5),
        ("1.0e+3", 1000.0),
        (".5", 0.5),
        ("-.inf", float("-inf")),
        ("1e999", float("inf")),
        ("12345678901234567890", "12345678901234567890"),
        ("9" * 5000, "9" * 5000),
        ("=", "="),
        ("'no'", "no"),
        ("!!str 12", "12"),
        ("!!float 1", 1.0),
        ("{a: 1, 2: b, true: c}", {"a": 1, 2: "b", True: "c"}),
        ("{'1': a, 1: b}", {"1": "a", 1: "b"}),
        ("[a, [b], {}]", ["a", ["b"], {}]),
        ("{a: &x {k: 1, l: 2}, b: {<<: *x, l: 3}}", {"a": {"k": 1, "l": 2}, "b": {"k": 1, "l": 3}}),
        ("{x: {a: &a {<<: &b {k: 1}, k: 2}}, y: {<<: *a}}", {"x": {"a": {"k": 2}}, "y": {"k": 2}}),
        ("{<<: [{k: 1}, {k: 2, l: 2}], m: 3}", {"k": 1, "l": 2, "m": 3}),
        ("{a: &x [1], b: *x}", {"a": [1], "b": [1]}),
    ],
)
def test_what_a_text_means(text, value):
    found = parse_yaml(text, "x")
    assert found == value
    assert type(found) is type(value)


def test_not_a_number():
    assert parse_yaml(".nan", "x") != parse_yaml(".nan", "x")


def laughs(levels):
    return "\n".join(
        ["l0: &l0 [x,x,x,x,x,x,x,x,x,x]", *(f"l{i}: &l{i} [{','.join([f'*l{i - 1}'] * 10)}]" for i in range(1, levels))]
    )


def merges(levels):
    lines = [f"a{i}: &a{i} {{<<: [{','.join([f'*a{i - 1}'] * 4)}], k{i}: 1}}" for i in range(1, levels)]
    return "\n".join(["a0: &a0 {k: 1}", *lines])


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (laughs(12), "line 6: too large, once its aliases are written out"),
        (merges(40), "too large, once its aliases are written out"),
        ("a: &a " + "x" * 100_000 + "\nb: [" + "*a," * 1000 + "]", "line 2: too large, once its aliases"),
        ("a: &a [*a]", "line 1: an alias stands in what it names"),
        ("a: &a {b: {c: *a}}", "an alias stands in what it names"),
        ("a: *s3cret", "an alias names no anchor; a text that begins with \\* needs quotes"),
        ("a: &s3cret 1\nb: &s3cret 2", "line 2: found duplicate anchor …"),
        ("[" * 3000 + "]" * 3000, f"nested deeper than {DEEPEST} levels"),
        ("{a: " * 500 + "1" + "}" * 500, f"nested deeper than {DEEPEST} levels"),
        ("- " * 500 + "1", f"nested deeper than {DEEPEST} levels"),
        (
            "\n".join(f"a{i}: &a{i} [{f'*a{i - 1}' if i else ''}]" for i in range(70)),
            f"line 65: nested deeper than {DEEPEST} levels",
        ),
        ("x: !!python/object/apply:os.system ['touch pwned']", "a tag \\(!…\\) that means nothing here"),
        ("x: !s3cret", "a text that begins with ! needs quotes"),
        ("x: !e!s3cret y", "found undefined tag handle …"),
        ("x: !!set {a, b}", "that means nothing here"),
        ("x: !!binary aGk=", "that means nothing here"),
        ("x: !!omap [a: 1]", "that means nothing here"),
        ("x: !!timestamp 2024-01-01", "that means nothing here"),
        ("x: !!int s3cret", "not of the type that !!int asks for"),
        ("? [a, b]\n: 1", "a key must be one word"),
        ("{a: 1}: 2", "a key must be one word"),
        ("a: 1\nb: 2\n'a': 3", "line 3: key 'a' is there twice"),
        ("rtsp://u:s3cret@h: 1\nrtsp://u:s3cret@h: 2", "key with odd characters is there twice"),
        ("<<: [{a: 1}, 3]", "<< merges a mapping"),
        ("<<: 3", "<< merges a mapping"),
        ("a:\t- b", r"found character '.t' that cannot start any token"),
        ("\ta: 1", r"found character '.t' that cannot start any token"),
        ('a: "x\\0s3cret"', "the character U\\+0000 is not allowed"),
        ("a: 1\nb: x\0s3cret", "line 2: the character U\\+0000 is not allowed"),
        ('a: "\\ud800"', "the character U\\+D800 is not allowed"),
        ("a: 1\n---\nb: 2", "line 2: expected a single document in the stream"),
        ("a: [s3cret", "expected ',' or '\\]'"),
        ("a: 'it's s3cret'", "line 1: "),
        ("a: %s3cret", "found character '%' that cannot start any token"),
    ],
)
def test_what_is_refused_at_once_and_shows_no_value(text, problem):
    started = time.process_time()
    with pytest.raises(ConfigError, match=problem) as caught:
        parse_yaml(text, "x")
    assert str(caught.value).startswith("x, line ")
    assert "s3cret" not in str(caught.value)
    assert time.process_time() - started < 10  # the bombs took minutes
    assert caught.value.__cause__ is None


def test_a_file_of_every_size_below_the_limit_is_read(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text("a: " + "x" * (LARGEST - 4), encoding="utf-8")
    assert len(read_yaml(path)["a"]) == LARGEST - 4


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        (b"a: " + b"x" * LARGEST, "larger than 1 MiB"),
        (b"a: 1\nname: caf\xe9\n", "line 2: not UTF-8 text"),
        ("name: x".encode("utf-16"), "line 1: not UTF-8 text"),
        (b"", "got nothing"),
        (b"# only a comment\n", "got nothing"),
        (b"s3cret", "got a text"),
        (b"- s3cret", "got a list"),
        (b"12", "got a number"),
        (b"true", "got true or false"),
    ],
)
def test_files_that_are_no_settings(tmp_path, raw, problem):
    path = tmp_path / "x.yaml"
    path.write_bytes(raw)
    with pytest.raises(ConfigError, match=problem) as caught:
        read_yaml(path)
    assert str(caught.value).startswith(str(path))
    assert "s3cret" not in str(caught.value)


def test_a_byte_order_mark_is_read_over(tmp_path):
    (tmp_path / "x.yaml").write_bytes(b"\xef\xbb\xbfa: 1\r\nb: 2\r\n")
    assert read_yaml(tmp_path / "x.yaml") == {"a": 1, "b": 2}


def test_a_folder_and_nothing(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        read_yaml(tmp_path)
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        read_yaml(tmp_path / "none.yaml")


def test_what_is_written_as_yaml_is_read_back():
    content = {"a": "no", "b": "007", "c": [1, 0.5, None, True], "d": "2024-01-01", "e": "1:30", "f": "*x", "g": 1e-7}
    assert parse_yaml(yaml.safe_dump(content), "x") == content
