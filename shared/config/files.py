"""Configurations: filled from TOML and `--set`, and written back.

What a configuration is, `orn.shared.config.fields` says. TOML has no null: the string "none" stands
for None in a field that may be None. A key that is not a field is refused.
"""

import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_jsonable_python

from orn.shared.config.bounded import read_bounded, require_utf8
from orn.shared.config.fields import explain
from orn.shared.errors import ConfigError, PipelineError
from orn.shared.nearest import nearest

T = TypeVar("T")

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_DEEP_KEY = re.compile(r"""(?<![\w-])(?:(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+){200}""")
"""A key of more parts than any has; tomllib takes the square of their number in time."""
_MOST_TOML_BYTES = 1 << 20
"""Of a file that people write."""


def load_config(path: Path, config_type: type[T], *, error: type[PipelineError] = ConfigError) -> T:
    """Return the configuration in a TOML file.

    Args:
        error: what to raise.

    Raises:
        ConfigError: if the file is absent or no TOML, or a key is unknown, missing or of the wrong
            type; the message names the file, the key, what was expected and what it got.
    """
    raw = read_toml(path, error=error)
    return config_from_dict(raw, config_type, source=str(path), error=error)


def read_toml(path: Path, *, error: type[PipelineError] = ConfigError) -> dict[str, Any]:
    """Return the tables of a TOML file; raises as `load_config`."""
    content = read_bounded(path, most_bytes=_MOST_TOML_BYTES, error=error)
    try:
        text = content.decode()
    except UnicodeDecodeError as err:
        raise error(f"{path}: is not a TOML file ({err})") from err
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return parse_toml(text, source=str(path), error=error)


def parse_toml(
    text: str, *, source: str, error: type[PipelineError] = ConfigError
) -> dict[str, Any]:
    """Return the tables in the text of a TOML file; raises as `load_config`."""
    too_deep = f"{source}: is not a TOML file that can be read (nested too deeply)"
    if _DEEP_KEY.search(text):
        raise error(too_deep)
    try:
        return tomllib.loads(text)
    except ValueError as err:
        raise error(f"{source}: is not a TOML file ({err})") from err
    except RecursionError as err:
        raise error(too_deep) from err


def config_from_dict(
    raw: Mapping[str, Any],
    config_type: type[T],
    *,
    source: str,
    error: type[PipelineError] = ConfigError,
) -> T:
    """Return the configuration in nested plain values, which messages say are from `source`.

    Raises:
        ConfigError: as `load_config`.
    """
    # As JSON, since from JSON pydantic's strict mode takes a list for a tuple, a string for a path
    # and a table for a section, and nothing else that is not of the type.
    try:
        text = json.dumps(raw, default=str)
    except (ValueError, RecursionError) as err:
        raise error(f"{source}: is nested too deeply or holds too large a number") from err
    try:
        adapter = TypeAdapter(config_type)
        return adapter.validate_json(text, context={"source": source})
    except ValidationError as err:
        raise error(f"{source}: {explain(err, config_type)}") from err


def apply_overrides(config: T, assignments: Iterable[str]) -> T:
    """Return a copy of `config` with settings replaced.

    Args:
        assignments: strings such as "optimiser.learning_rate=1e-3"; the value is as TOML writes it,
            and text where it is no TOML. All are applied before anything is checked.

    Raises:
        ConfigError: for a string without "=", an unknown key (the nearest valid one is named), a
            value of the wrong type, or a combination that the configuration refuses.
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
                f"--set {assignment}: expected KEY=VALUE, such as {next(iter(valid))}=..."
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


def to_dict(config: Any) -> dict[str, Any]:
    """Return the settings as nested dicts, lists, strings, numbers and None, in field order."""
    values: dict[str, Any] = to_jsonable_python(config)
    return values


def leaves(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the settings of nested dicts by their dotted keys."""
    found: dict[str, Any] = {}
    for name, value in table.items():
        if isinstance(value, Mapping):
            found |= leaves(value, f"{prefix}{name}.")
        else:
            found[prefix + name] = value
    return found


def to_toml(config: Any) -> str:
    """Return the settings as TOML text, defaults included, of which `load_config` makes an equal
    configuration."""
    return "\n".join(_toml_lines(to_dict(config), ())).lstrip("\n") + "\n"


def toml_value(value: Any) -> str:
    """Return a plain value as TOML writes it; None as "none".

    Raises:
        ConfigError: for a path that is not UTF-8.
    """
    if value is None:
        return '"none"'
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        require_utf8(value)
        # JSON's escapes are TOML's, but for DEL, which JSON leaves as it is.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, list):
        return f"[{', '.join(toml_value(entry) for entry in value)}]"
    return repr(value)


def _nearest_key(key: str, valid: Iterable[str]) -> str | None:
    """Return the valid key most like `key`; one that ends in the same name goes first."""
    name = key.rpartition(".")[2]
    same_name = [candidate for candidate in valid if candidate.rpartition(".")[2] == name]
    return nearest(key, same_name or valid)


def _value_of(text: str) -> Any:
    """Return the value that the text of a command line means; .5 and 1. are numbers, too."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):
        pass
    try:
        return float(text)
    except ValueError:
        return text


def _toml_lines(table: Mapping[str, Any], path: tuple[str, ...]) -> Iterable[str]:
    """Yield the lines of a table: its own settings first, then the tables in it."""
    if path:
        yield ""
        yield f"[{'.'.join(_toml_key(part) for part in path)}]"
    for name, value in table.items():
        if not isinstance(value, Mapping):
            yield f"{_toml_key(name)} = {toml_value(value)}"
    for name, value in table.items():
        if isinstance(value, Mapping):
            yield from _toml_lines(value, (*path, name))


def _toml_key(name: str) -> str:
    return name if _BARE_KEY.fullmatch(name) else toml_value(name)
