"""YAML is read with the core schema of YAML 1.2. An error is one line."""

import math

import pytest
from corpusmill.manifests.yaml_text import parse_yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("-1.5E+3", -1500.0),
        (".5", 0.5),
        ("-.inf", -math.inf),
        ("1_000", 1000),
        ("0x1f", 31),
        ("0o17", 15),
        ("true", True),
        ("~", None),
        ("", None),
        ("off", "off"),
        ("yes", "yes"),
        ("12:30", "12:30"),
        ("2024-01-01", "2024-01-01"),
        ("007", "007"),
        ("1.2.3", "1.2.3"),
        ("'1e-4'", "1e-4"),
        ("{a: &x {b: 1}, c: {<<: *x}}", {"a": {"b": 1}, "c": {"b": 1}}),
    ],
)
def test_scalars_are_what_they_look_like(text, value):
    assert parse_yaml(text) == value
    assert type(parse_yaml(text)) is type(value)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("a: 1\nb: 2\na: 3", "line 3, column 1: the key 'a' stands twice"),
        ("a:\n\tb: 1", "line 2, column 1: a tab begins a token; indent with spaces"),
        ("[", "line 1, column 2"),
        ("a: b: c", "mapping values are not allowed here"),
        ("--- 1\n--- 2", "expected a single document"),
        ("{[a]: 1}", "unhashable key"),
        ("!!python/object:x 1", "tag"),
        ("a\0", "special characters"),
        ("[" * 3000, "recursion"),
    ],
)
def test_what_cannot_be_read_is_one_line_with_the_place(text, what):
    with pytest.raises(ValueError, match=what) as raised:
        parse_yaml(text)
    assert "\n" not in str(raised.value)
