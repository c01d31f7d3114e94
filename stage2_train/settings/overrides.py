"""Override settings of a configuration with `--set`."""

import tomllib
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from orn.shared.config.toml_files import config_from_dict, to_dict
from orn.shared.errors import ConfigError
from orn.shared.text import nearest

T = TypeVar("T")


def apply_overrides(config: T, assignments: Iterable[str]) -> T:
    """Return a copy of `config` with overridden settings.

    Args:
        config: the configuration.
        assignments: strings such as "optimizer.learning_rate=1e-3"; a value that is not TOML is
            taken as a string. Validation follows all assignments.

    Raises:
        ConfigError: if a string has no "=", or a key or value is invalid.
    """
    assignments = tuple(assignments)
    if not assignments:
        return config
    values = to_dict(config)
    valid = leaves(values)
    for assignment in assignments:
        key, equals, text = (part.strip() for part in assignment.partition("="))
        if not equals:
            raise ConfigError(
                f"--set {assignment}: expected KEY=VALUE; write, for example, "
                f"{next(iter(valid))}=..."
            )
        if key not in valid:
            raise ConfigError(
                f"--set {assignment}: unknown key {key!r}; "
                f"the nearest valid one is {_nearest_key(key, valid)!r}"
            )
        *sections, name = key.split(".")
        table = values
        for section in sections:
            table = table[section]
        table[name] = _value_of(text)
    return config_from_dict(values, type(config), source="--set")


def leaves(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the settings of nested dicts by dotted key."""
    settings: dict[str, Any] = {}
    for name, value in table.items():
        if isinstance(value, Mapping):
            settings |= leaves(value, f"{prefix}{name}.")
        else:
            settings[prefix + name] = value
    return settings


def _nearest_key(key: str, valid: Iterable[str]) -> str | None:
    """Return the valid key most similar to `key`, preferably one with the same last part."""
    name = key.rpartition(".")[2]
    same_name = [candidate for candidate in valid if candidate.rpartition(".")[2] == name]
    return nearest(key, same_name or valid)


def _value_of(text: str) -> Any:
    """Return the value of an argument in TOML syntax; .5 and 1. are numbers, too."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):
        pass
    try:
        return float(text)
    except ValueError:
        return text
