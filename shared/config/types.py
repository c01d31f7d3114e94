"""Conversion of plain values, as TOML has them, to the types of configuration fields."""

import dataclasses
import functools
import tomllib
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Union

from shared.errors import ConfigError
from shared.nearest import nearest

__all__ = ["build", "field_types", "leaf_keys", "parse_text", "section_of"]

_SCALARS: dict[Any, tuple[tuple[type, ...], str]] = {
    bool: ((bool,), "true or false"),
    int: ((int,), "a whole number"),
    float: ((int, float), "a number"),
    str: ((str,), "a string"),
    Path: ((str, Path), "a path"),
}
"""What a field of each scalar type accepts, and how a message calls it."""


def build(raw: Mapping[str, Any], config_type: Any, *, source: str, key: str = "") -> Any:
    """An instance of the dataclass `config_type` from plain values.

    Args:
        source: where the values are from, for messages.
        key: dotted key of this section, empty at the top.

    Raises:
        ConfigError: for a key that is unknown, missing or of the wrong type, and for whatever the
            dataclass itself refuses.
    """
    wanted_types = field_types(config_type)
    prefix = f"{key}." if key else ""
    for name in raw:
        if name not in wanted_types:
            near = nearest(name, wanted_types)
            hint = f"; the nearest valid one is {prefix + near!r}" if near else ""
            raise ConfigError(f"{source}: unknown key {prefix + name!r}{hint}")
    for field in dataclasses.fields(config_type):
        if field.init and field.name not in raw and _is_required(field):
            wanted = _describe(wanted_types[field.name])
            raise ConfigError(f"{source}: missing key {prefix + field.name!r} (wanted {wanted})")
    values = {
        name: _convert(value, wanted_types[name], source=source, key=prefix + name)
        for name, value in raw.items()
    }
    try:
        return config_type(**values)
    except ValueError as err:  # raised by __post_init__, which cannot know the file
        place = f"{source}: {key}" if key else source
        raise ConfigError(f"{place}: {err}") from err


@functools.cache
def field_types(config_type: Any) -> dict[str, Any]:
    """Type of each field that the constructor of a dataclass takes."""
    hints = typing.get_type_hints(config_type)
    return {
        field.name: hints[field.name] for field in dataclasses.fields(config_type) if field.init
    }


def leaf_keys(config_type: Any, prefix: str = "") -> dict[str, Any]:
    """Type of each setting, by its dotted key, through all sections."""
    leaves: dict[str, Any] = {}
    for name, wanted in field_types(config_type).items():
        section = section_of(wanted)
        if section is None:
            leaves[prefix + name] = wanted
        else:
            leaves |= leaf_keys(section, f"{prefix}{name}.")
    return leaves


def section_of(wanted: Any) -> Any | None:
    """The dataclass that a field holds, also where it may be None; None for other fields."""
    for member in _members(wanted):
        if dataclasses.is_dataclass(member):
            return member
    return None


def parse_text(text: str, wanted: Any) -> Any:
    """The plain value that `text` of a command line means for a field of type `wanted`: text itself
    for text fields, otherwise a TOML value; what is neither is left for the conversion to refuse.
    """
    members = [member for member in _members(wanted) if member is not type(None)]
    if all(member in (str, Path) or _is_text_literal(member) for member in members):
        return text
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        pass
    if float in members:
        try:
            return float(text)  # such as .5 or 1., which TOML does not have
        except ValueError:
            pass
    return text


def _convert(value: Any, wanted: Any, *, source: str, key: str) -> Any:
    members = _members(wanted)
    if type(None) in members and value in (None, "none"):
        return None
    section = section_of(wanted)
    if section is not None and isinstance(value, Mapping):
        return build(value, section, source=source, key=key)
    for member in members:
        fits, converted = _convert_one(value, member, source=source, key=key)
        if fits:
            return converted
    found = "a table" if isinstance(value, Mapping) else f"{value!r}"
    near = _nearest_choice(value, members)
    hint = f"; did you mean {near!r}?" if near else ""
    raise ConfigError(f"{source}: {key}: wanted {_describe(wanted)}, found {found}{hint}")


def _convert_one(value: Any, wanted: Any, *, source: str, key: str) -> tuple[bool, Any]:
    """Whether `value` fits the type `wanted`, which is no union, and the converted value."""
    origin = typing.get_origin(wanted)
    if wanted in _SCALARS:
        accepted, _ = _SCALARS[wanted]
        is_wrong_bool = isinstance(value, bool) and wanted is not bool
        fits = isinstance(value, accepted) and not is_wrong_bool
        return fits, wanted(value) if fits else None
    if origin is Literal:
        # A bool equals 0 or 1 without being meant by it.
        options = [option for option in typing.get_args(wanted) if type(option) is type(value)]
        return value in options, value
    if origin is tuple and isinstance(value, list | tuple):
        return True, _convert_tuple(value, wanted, source=source, key=key)
    if origin is dict and isinstance(value, Mapping):
        item = typing.get_args(wanted)[1]
        return True, {
            name: _convert(entry, item, source=source, key=f"{key}.{name}")
            for name, entry in value.items()
        }
    return False, None


def _convert_tuple(value: Any, wanted: Any, *, source: str, key: str) -> tuple[Any, ...]:
    items = typing.get_args(wanted)
    if len(items) == 2 and items[1] is Ellipsis:
        items = (items[0],) * len(value)
    if len(items) != len(value):
        raise ConfigError(
            f"{source}: {key}: wanted {_describe(wanted)}, found {len(value)}: {list(value)!r}"
        )
    return tuple(
        _convert(entry, item, source=source, key=f"{key}[{index}]")
        for index, (entry, item) in enumerate(zip(value, items, strict=True))
    )


def _members(wanted: Any) -> tuple[Any, ...]:
    """The types of a union; a type that is none is alone."""
    if typing.get_origin(wanted) in (Union, types.UnionType):
        return typing.get_args(wanted)
    return (wanted,)


def _describe(wanted: Any) -> str:
    origin = typing.get_origin(wanted)
    if wanted is type(None):
        return '"none"'
    if wanted in _SCALARS:
        return _SCALARS[wanted][1]
    if origin is Literal:
        return "one of " + ", ".join(repr(option) for option in typing.get_args(wanted))
    if origin is tuple:
        items = typing.get_args(wanted)
        if items[-1] is Ellipsis:
            return f"a list, each entry {_describe(items[0])}"
        return f"a list of {len(items)} entries"
    if dataclasses.is_dataclass(wanted) or origin is dict:
        return "a table"
    return " or ".join(_describe(member) for member in _members(wanted))


def _nearest_choice(value: Any, members: tuple[Any, ...]) -> str | None:
    choices = [
        option
        for member in members
        if _is_text_literal(member)
        for option in typing.get_args(member)
    ]
    return nearest(value, choices) if isinstance(value, str) else None


def _is_text_literal(member: Any) -> bool:
    return typing.get_origin(member) is Literal and all(
        isinstance(option, str) for option in typing.get_args(member)
    )


def _is_required(field: "dataclasses.Field[Any]") -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
