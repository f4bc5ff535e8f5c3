"""Settings: text into frozen values, checked whole, with near names for what is misspelt."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logferry import settings
from logferry.errors import BadConfig
from logferry.settings import setting


@dataclass(frozen=True, slots=True)
class Door:
    """A nested table."""

    listen: str = setting("0.0.0.0:1")
    tls: str = setting("required", choices=("required", "off"))
    rate: int = setting(0, unit="rate")
    wait: float = setting(1.0, unit="duration")

    def __post_init__(self) -> None:
        if self.listen == "":
            raise BadConfig("listen is empty", hint="write one")


@dataclass(frozen=True, slots=True)
class House:
    """A settings file."""

    name: str
    size: int = setting(1, unit="size")
    share: float = 0.5
    on: bool = True
    tags: tuple[str, ...] = ()
    door: Door = field(default_factory=Door)
    doors: tuple[Door, ...] = ()
    named: dict[str, Door] = setting(factory=dict)  # noqa: RUF009 - a field, not a value
    maybe: int | None = None


def build(**values: Any) -> House:
    return settings.build(House, {"name": "h", **values}, "house.toml")


def test_a_file_becomes_nested_frozen_values() -> None:
    """Tables, lists of tables and named tables, with units turned into numbers."""
    text = b"""
name = "h"
size = "2 GiB"
tags = ["a", "b"]
maybe = 3
door.rate = "5 MiB/s"
doors = [{ wait = "2m" }, { wait = 3 }]
[named.front]
tls = "off"
"""
    house = settings.build(House, settings.read_toml(text, "house.toml"), "house.toml")
    assert (house.size, house.tags, house.maybe, house.door.rate) == (2 * 1024**3, ("a", "b"), 3, 5 * 1024**2)
    assert [door.wait for door in house.doors] == [120.0, 3.0]
    assert house.named["front"].tls == "off"


@pytest.mark.parametrize(
    ("values", "message", "hint"),
    [
        ({"sise": 1}, "house.toml: unknown setting sise", "did you mean 'size'?"),
        ({"door": {"lsten": "x"}}, "unknown setting door.lsten", "did you mean 'listen'?"),
        ({"doors": [{}, {"tls": "maybe"}]}, "doors[2].tls = 'maybe' is not allowed", "one of required, off"),
        ({"door": {"rate": "fast"}}, "door.rate = 'fast' is not a size", "500 MB"),
        ({"door": {"wait": "soon"}}, "door.wait = 'soon' is not a duration", "10s"),
        ({"door": {"listen": ""}}, "door.listen is empty", "write one"),
        ({"on": 1}, "on = 1 must be true or false", ""),
        ({"share": True}, "share = True must be a number", ""),
        ({"maybe": "x"}, "maybe = 'x' must be a whole number", ""),
        ({"tags": "a"}, "tags must be a list", 'tags = ["…"]'),
        ({"named": 1}, "named must be a table", "[named]"),
        ({"door": 1}, "door must be a table", "[name]"),
    ],
)
def test_a_wrong_setting_is_named_with_what_to_write(values: dict[str, Any], message: str, hint: str) -> None:
    """The message has file, dotted setting and value; the hint is the next step."""
    with pytest.raises(BadConfig) as caught:
        build(**values)
    assert message in caught.value.message
    assert hint in caught.value.hint


def test_a_missing_setting_is_named() -> None:
    """What has no default must be there."""
    with pytest.raises(BadConfig, match="setting name is missing"):
        settings.build(House, {}, "house.toml")


@pytest.mark.parametrize("text", [b"a = ", b'a = "\xff"', b"[a", b"a = 1\na = 2"])
def test_what_is_no_toml_is_refused_with_the_file_named(text: bytes) -> None:
    """Broken files never become half a configuration."""
    with pytest.raises(BadConfig, match=r"house\.toml"):
        settings.read_toml(text, "house.toml")


@given(st.binary(max_size=200))
def test_any_bytes_are_a_file_or_a_clear_refusal(text: bytes) -> None:
    """Reading settings raises nothing but BadConfig, whatever is in the file."""
    told = "house.toml"
    try:
        settings.build(House, settings.read_toml(text, "house.toml"), "house.toml")
    except BadConfig as error:
        told = error.message
    assert "house.toml" in told


@pytest.mark.parametrize(
    ("text", "count"),
    [("0", 0), ("10k", 10_000), ("1 KiB", 1024), ("1.5MB", 1_500_000), ("2 gib", 2 * 1024**3), ("7b", 7), (12, 12)],
)
def test_sizes_are_read_in_decimal_and_binary_units(text: str | int, count: int) -> None:
    """KB is 1,000, KiB is 1,024, any case."""
    assert settings.size_bytes(text) == count


def test_rates_and_durations_are_read_with_their_units() -> None:
    """``/s`` is understood; a bare number is seconds."""
    assert settings.rate_bytes_s("5 MiB/s") == 5 * 1024**2
    assert settings.rate_bytes_s("300 KB") == 300_000
    assert [settings.duration_s(t) for t in ("10s", "5 m", "2h", "250ms", "1d", "1w", 3, "4")] == [
        10.0,
        300.0,
        7200.0,
        0.25,
        86400.0,
        604800.0,
        3.0,
        4.0,
    ]


def test_variables_reach_nested_settings() -> None:
    """``LOGFERRY_DOOR__RATE`` is door.rate; text stays text, the rest is read as TOML."""
    environment = {"LOGFERRY_DOOR__RATE": "1 MB/s", "LOGFERRY_NAME": "7", "LOGFERRY_ON": "false", "PATH": "/bin"}
    found = settings.from_environment(House, environment)
    assert found == {"door": {"rate": "1 MB/s"}, "name": "7", "on": False}
    assert settings.build(House, found, "environment").door.rate == 1_000_000


def test_a_variable_for_no_setting_is_refused_with_the_near_name() -> None:
    """A misspelt variable must not be passed over in silence; those of the command line are not settings."""
    with pytest.raises(BadConfig, match="LOGFERRY_DOOR__RAET") as caught:
        settings.from_environment(House, {"LOGFERRY_DOOR__RAET": "1"})
    assert "'rate'" in caught.value.hint
    assert settings.from_environment(House, {"LOGFERRY_URL": "https://x"}) == {}


def test_later_layers_win_and_tables_are_merged() -> None:
    """File, then environment, then flags; lists are replaced whole."""
    merged = settings.merge({"a": {"b": 1, "c": 2}, "l": [1]}, {"a": {"b": 3}}, {"l": [2, 3]})
    assert merged == {"a": {"b": 3, "c": 2}, "l": [2, 3]}


def test_each_setting_knows_its_layer() -> None:
    """The origin of a value is the last layer that set it."""
    layers = {"file": {"a": {"b": 1, "c": 2}}, "environment": {"a": {"b": 3}}}
    assert settings.origins(layers) == {"a.b": "environment", "a.c": "file"}


def test_a_near_name_is_offered_or_all_are_listed() -> None:
    """One good guess, else the whole list."""
    assert settings.near("lisen", ["listen", "tls"]) == "did you mean 'listen'?"
    assert settings.near("zzz", ["listen", "tls"]) == "known: listen, tls"
