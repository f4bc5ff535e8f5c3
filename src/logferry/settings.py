"""Settings files: TOML and environment into frozen dataclasses, checked whole, with near names for misspelt keys.

A settings class is a frozen dataclass whose fields are ``str``, ``int``, ``float``, ``bool``, ``tuple[...]`` of
those, another settings class, or a tuple or dict (by name) of settings classes. A settings class with a ``SHORT`` may
be written as the value of that field alone. A field's metadata may name how
text becomes a number: ``setting(default, unit="size" | "rate" | "duration" | "schedule")``.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
import tomllib
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from logferry.errors import BadConfig

T = TypeVar("T")

_SIZES = {
    "": 1,
    "b": 1,
    "k": 1000,
    "kb": 1000,
    "m": 1000**2,
    "mb": 1000**2,
    "g": 1000**3,
    "gb": 1000**3,
    "t": 1000**4,
    "tb": 1000**4,
}
_SIZES |= {"kib": 1024, "mib": 1024**2, "gib": 1024**3, "tib": 1024**4}
_DURATIONS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_NUMBER = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)\s*")


def size_bytes(text: str | int) -> int:
    """``"5 MiB"`` -> 5242880; decimal and binary units, no unit = bytes. Raises BadConfig."""
    if isinstance(text, int):
        return text
    found = _NUMBER.fullmatch(text)
    if not found or found[2].lower() not in _SIZES:
        raise BadConfig(f"{text!r} is not a size", hint="write for example 500 MB or 2 GiB")
    return int(float(found[1]) * _SIZES[found[2].lower()])


def rate_bytes_s(text: str | int) -> int:
    """``"5 MiB/s"`` -> bytes per second; ``0`` = no limit. Raises BadConfig."""
    if isinstance(text, int):
        return text
    return size_bytes(text.strip().removesuffix("/s"))


def duration_s(text: str | float) -> float:
    """``"10s"``, ``"5 m"``, ``"2h"`` -> seconds; a bare number is seconds. Raises BadConfig."""
    if isinstance(text, (int, float)):
        return float(text)
    found = _NUMBER.fullmatch(text)
    unit = found[2].lower() or "s" if found else ""
    if not found or unit not in _DURATIONS:
        raise BadConfig(f"{text!r} is not a duration", hint="write for example 10s, 5m, 12h or 90d")
    return float(found[1]) * _DURATIONS[unit]


def schedule_text(text: str | float) -> str:
    """A rate or a timetable as text; a bare number is bytes per second. Whoever has the setting reads it further."""
    return text if isinstance(text, str) else str(int(text))


_UNITS: dict[str, Any] = {
    "size": size_bytes,
    "rate": rate_bytes_s,
    "duration": duration_s,
    "schedule": schedule_text,
}


def setting(
    default: Any = dataclasses.MISSING,
    *,
    unit: str = "",
    choices: tuple[str, ...] = (),
    factory: Any = dataclasses.MISSING,
    doc: str = "",
) -> Any:
    """A dataclass field with how to read it: ``unit`` turns text into a number, ``choices`` lists the allowed words."""
    metadata = {"unit": unit, "choices": choices, "doc": doc}
    if factory is not dataclasses.MISSING:
        return dataclasses.field(default_factory=factory, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def near(word: str, known: typing.Iterable[str]) -> str:
    """``did you mean 'x'?`` for the nearest known word, or a list of all."""
    names = sorted(known)
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    return f"did you mean {close[0]!r}?" if close else f"known: {', '.join(names)}"


def read_toml(text: bytes, where: str) -> dict[str, Any]:
    """Parse TOML. Raises BadConfig naming ``where`` and the line."""
    try:
        return tomllib.loads(text.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise BadConfig(f"{where} is not UTF-8 text", hint=f"byte {error.start} is {text[error.start]:#04x}") from error
    except tomllib.TOMLDecodeError as error:
        raise BadConfig(f"{where}: {error}", hint='the file is TOML: key = "text"') from error


def build(kind: type[T], values: Mapping[str, Any], where: str) -> T:
    """Make a settings dataclass from nested mappings. Raises BadConfig for the first unknown key or wrong value."""
    return typing.cast("T", _build(kind, values, where, ""))


def _build(kind: type, values: Any, where: str, prefix: str) -> Any:
    short = getattr(kind, "SHORT", "")
    if short and isinstance(values, str):
        values = {short: values}
    if not isinstance(values, Mapping):
        raise BadConfig(
            f"{where}: {prefix.rstrip('.') or 'the file'} must be a table", hint="write it as [name] with keys below"
        )
    fields = {f.name: f for f in dataclasses.fields(kind)}
    hints = typing.get_type_hints(kind)
    made: dict[str, Any] = {}
    for key, value in values.items():
        if key not in fields:
            raise BadConfig(f"{where}: unknown setting {prefix}{key}", hint=near(key, fields))
        made[key] = _value(hints[key], value, fields[key], where, prefix + key)
    for name, field in fields.items():
        if name not in made and field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise BadConfig(f"{where}: setting {prefix}{name} is missing", hint=f"add {name} = …")
    try:
        return kind(**made)
    except BadConfig as error:
        raise BadConfig(f"{where}: {prefix}{error.message}", hint=error.hint) from error


def _value(hint: Any, value: Any, field: dataclasses.Field[Any], where: str, name: str) -> Any:
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        options = [h for h in typing.get_args(hint) if h is not type(None)]
        return _value(options[0], value, field, where, name)
    if dataclasses.is_dataclass(hint):
        return _build(typing.cast("type", hint), value, where, name + ".")
    if origin is tuple:
        item = typing.get_args(hint)[0]
        if not isinstance(value, list):
            raise BadConfig(f"{where}: {name} must be a list", hint=f'write {name} = ["…"]')
        return tuple(_value(item, v, field, where, f"{name}[{i + 1}]") for i, v in enumerate(value))
    if origin is dict:
        item = typing.get_args(hint)[1]
        if not isinstance(value, Mapping):
            raise BadConfig(f"{where}: {name} must be a table", hint=f"write [{name}] with keys below")
        return {k: _value(item, v, field, where, f"{name}.{k}") for k, v in value.items()}
    return _scalar(hint, value, field, where, name)


def _scalar(hint: Any, value: Any, field: dataclasses.Field[Any], where: str, name: str) -> Any:
    unit, choices = field.metadata.get("unit", ""), field.metadata.get("choices", ())
    if unit in _UNITS and isinstance(value, (str, int, float)) and not isinstance(value, bool):
        try:
            return _UNITS[unit](value)
        except BadConfig as error:
            raise BadConfig(f"{where}: {name} = {error.message}", hint=error.hint) from error
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if not isinstance(value, hint) or (hint is int and isinstance(value, bool)):
        words = {str: "text in quotes", int: "a whole number", float: "a number", bool: "true or false"}
        raise BadConfig(f"{where}: {name} = {value!r} must be {words.get(hint, hint)}", hint="")
    if choices and value not in choices:
        raise BadConfig(f"{where}: {name} = {value!r} is not allowed", hint=f"one of {', '.join(choices)}")
    return value


def from_environment(kind: type, environment: Mapping[str, str], prefix: str = "LOGFERRY_") -> dict[str, Any]:
    """Nested values from variables such as ``LOGFERRY_FTP__TLS=required``; read as TOML where the field is no text.

    Raises BadConfig for a variable with the prefix and ``__`` or a top-level name that no setting has.
    """
    found: dict[str, Any] = {}
    for variable, text in sorted(environment.items()):
        if not variable.startswith(prefix):
            continue
        keys = [part.lower() for part in variable.removeprefix(prefix).split("__")]
        hint: Any = kind
        for key in keys:
            hints = typing.get_type_hints(hint) if dataclasses.is_dataclass(hint) else {}
            if typing.get_origin(hint) is dict:  # by name: any will do
                hints = {key: typing.get_args(hint)[1]}
            if key not in hints:
                if len(keys) == 1:
                    break  # LOGFERRY_URL and the like belong to the command line
                raise BadConfig(f"environment variable {variable} names no setting", hint=near(key, hints or [key]))
            hint = hints[key]
        else:
            at = found
            for key in keys[:-1]:
                at = at.setdefault(key, {})
            at[keys[-1]] = text if hint is str else _toml_value(text)
    return found


def _toml_value(text: str) -> Any:
    try:
        return tomllib.loads(f"v = {text}")["v"]
    except tomllib.TOMLDecodeError:
        return text


def merge(*layers: Mapping[str, Any]) -> dict[str, Any]:
    """Nested mappings laid over one another; later ones win, tables are merged, lists replaced."""
    merged: dict[str, Any] = {}
    for layer in layers:
        for key, value in layer.items():
            old = merged.get(key)
            merged[key] = merge(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged


def flat(value: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """(dotted name, value) of every setting in a settings object; rows of a list are numbered from 1, those of a
    table have their key."""
    for each in dataclasses.fields(value):
        item, name = getattr(value, each.name), f"{prefix}{each.name}"
        if dataclasses.is_dataclass(item):
            yield from flat(item, f"{name}.")
        elif isinstance(item, tuple) and item and dataclasses.is_dataclass(item[0]):
            for number, row in enumerate(item, 1):
                yield from flat(row, f"{name}[{number}].")
        elif isinstance(item, Mapping) and any(map(dataclasses.is_dataclass, item.values())):
            for key, row in item.items():
                yield from flat(row, f"{name}.{_toml_key(key)}.")
        else:
            yield name, item


def _toml_key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else toml_text(key)


def toml_text(value: Any) -> str:
    """A value as a settings file has it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(toml_text(v) for v in value)}]"
    if isinstance(value, Mapping):
        return f"{{ {', '.join(f'{_toml_key(k)} = {toml_text(v)}' for k, v in value.items())} }}" if value else "{}"
    if isinstance(value, (int, float)):
        return str(value)
    return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'


def origins(layers: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """For every dotted setting the name of the last layer that sets it."""
    where: dict[str, str] = {}

    def walk(values: Mapping[str, Any], prefix: str, name: str) -> None:
        for key, value in values.items():
            if isinstance(value, Mapping):
                walk(value, f"{prefix}{_toml_key(key)}.", name)
            else:
                where[prefix + _toml_key(key)] = name

    for name, values in layers.items():
        walk(values, "", name)
    return where
