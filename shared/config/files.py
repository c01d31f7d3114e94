"""Configurations: frozen dataclasses, filled from TOML and `--set`, and written back.

A configuration is a dataclass whose fields are bool, int, float, str, Path, Literal, a tuple or a
dict of these, another such dataclass, or `X | None` of them. TOML has no null: the string "none"
stands for None in a field that may be None. A key that is not a field is refused.
"""

import dataclasses
import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from shared.config.types import build, leaf_keys, parse_text
from shared.errors import ConfigError
from shared.nearest import nearest

__all__ = ["apply_overrides", "config_from_dict", "load_config", "to_dict", "to_toml"]

T = TypeVar("T")

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


def load_config(path: Path, config_type: type[T]) -> T:
    """The configuration in a TOML file.

    Raises:
        ConfigError: if the file is absent or no TOML, or a key is unknown, missing or of the wrong
            type; the message names the file, the key, what was wanted and what was found.
    """
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as err:
        raise ConfigError(f"{path}: cannot be read ({err.strerror})") from err
    except ValueError as err:  # not TOML, or not UTF-8
        raise ConfigError(f"{path}: is not a TOML file ({err})") from err
    return config_from_dict(raw, config_type, source=str(path))


def config_from_dict(raw: Mapping[str, Any], config_type: type[T], *, source: str) -> T:
    """The configuration in nested plain values; `source` says in messages where they are from.

    Raises:
        ConfigError: as `load_config`.
    """
    config: T = build(raw, config_type, source=source)
    return config


def apply_overrides(config: T, assignments: Iterable[str]) -> T:
    """A copy of `config` with settings replaced.

    Args:
        assignments: strings such as "optimiser.learning_rate=1e-3"; the value is text where the
            field is text, otherwise as TOML writes it. All are applied before anything is checked.

    Raises:
        ConfigError: for a string without "=", an unknown key (the nearest valid one is named), a
            value of the wrong type, or a combination that the configuration refuses.
    """
    assignments = tuple(assignments)
    if not assignments:
        return config
    valid = leaf_keys(type(config))
    values = to_dict(config)
    for assignment in assignments:
        key, equals, text = (part.strip() for part in assignment.partition("="))
        if not equals:
            raise ConfigError(
                f"--set {assignment}: wanted KEY=VALUE, such as {next(iter(valid))}=..."
            )
        if key not in valid:
            raise ConfigError(
                f"--set {assignment}: unknown key {key!r}; "
                f"the nearest valid one is {_nearest_key(key, valid)!r}"
            )
        *sections, name = key.split(".")
        table = values
        for section in sections:
            if table[section] is None:
                table[section] = {}
            table = table[section]
        table[name] = parse_text(text, valid[key])
    return config_from_dict(values, type(config), source="--set")


def to_dict(config: Any) -> dict[str, Any]:
    """The settings as nested dicts, lists, strings, numbers and None, in field order."""
    return {
        field.name: _plain(getattr(config, field.name))
        for field in dataclasses.fields(config)
        if field.init
    }


def to_toml(config: Any) -> str:
    """The settings as TOML text, defaults included; `load_config` of it gives an equal one."""
    return "\n".join(_toml_lines(to_dict(config), ())).lstrip("\n") + "\n"


def _nearest_key(key: str, valid: Iterable[str]) -> str | None:
    """The valid key most like `key`; one that ends in the same name goes first."""
    name = key.rpartition(".")[2]
    same_name = [candidate for candidate in valid if candidate.rpartition(".")[2] == name]
    return nearest(key, same_name or valid)


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return to_dict(value)
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, tuple | list):
        return [_plain(entry) for entry in value]
    if isinstance(value, Mapping):
        return {name: _plain(entry) for name, entry in value.items()}
    return value


def _toml_lines(table: Mapping[str, Any], path: tuple[str, ...]) -> Iterable[str]:
    """Lines of a table: its own settings first, then the tables in it."""
    if path:
        yield ""
        yield f"[{'.'.join(_toml_key(part) for part in path)}]"
    for name, value in table.items():
        if not isinstance(value, Mapping):
            yield f"{_toml_key(name)} = {_toml_value(value)}"
    for name, value in table.items():
        if isinstance(value, Mapping):
            yield from _toml_lines(value, (*path, name))


def _toml_key(name: str) -> str:
    return name if _BARE_KEY.fullmatch(name) else _toml_value(name)


def _toml_value(value: Any) -> str:
    if value is None:
        return '"none"'
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        # JSON's escapes are TOML's, but for DEL, which JSON leaves as it is.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, list):
        return f"[{', '.join(_toml_value(entry) for entry in value)}]"
    if isinstance(value, Mapping):
        entries = (f"{_toml_key(name)} = {_toml_value(entry)}" for name, entry in value.items())
        return f"{{ {', '.join(entries)} }}"
    return repr(value)
