"""Load configurations from TOML, and write them as TOML.

`orn.shared.config.fields` defines configurations. TOML has no null: the string "none" stands for
None in an optional field. Unknown keys are rejected.
"""

import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_jsonable_python

from orn.shared.config.fields import problems_of
from orn.shared.data_files import read_bounded, require_utf8
from orn.shared.errors import ConfigError, PipelineError

T = TypeVar("T")

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_MOST_PARTS = 200
"""Maximum number of parts of a dotted key; tomllib's time and memory are quadratic in it."""
_MOST_TOML_BYTES = 1 << 20
"""Size limit of a file written by hand."""


def load_config(path: Path, config_type: type[T], *, error: type[PipelineError] = ConfigError) -> T:
    """Return the configuration in a TOML file.

    Args:
        path: the file.
        config_type: type of the configuration.
        error: type of the error.

    Raises:
        error: if the file is missing or is not TOML, or a key is unknown, missing or invalid.
    """
    raw = read_toml(path, error=error)
    return config_from_dict(raw, config_type, where=str(path), error=error)


def read_toml(path: Path, *, error: type[PipelineError] = ConfigError) -> dict[str, Any]:
    """Return the tables of a TOML file.

    Raises:
        error: if the file is missing or not TOML.
    """
    content = read_bounded(path, most_bytes=_MOST_TOML_BYTES, error=error)
    try:
        text = content.decode()
    except UnicodeDecodeError as err:
        raise error(f"{path}: invalid TOML ({err})") from err
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return parse_toml(text, where=str(path), error=error)


def parse_toml(
    text: str, *, where: str, error: type[PipelineError] = ConfigError
) -> dict[str, Any]:
    """Return the tables in TOML text.

    Raises:
        error: if the text is not TOML.
    """
    too_deep = f"{where}: invalid TOML (nested too deeply)"
    if any(part.count(".") > _MOST_PARTS for part in re.split("[,\n]", text)):
        raise error(too_deep)
    try:
        return tomllib.loads(text)
    except ValueError as err:
        raise error(f"{where}: invalid TOML ({err})") from err
    except RecursionError as err:
        raise error(too_deep) from err


def config_from_dict(
    raw: Mapping[str, Any],
    config_type: type[T],
    *,
    where: str,
    error: type[PipelineError] = ConfigError,
) -> T:
    """Return the configuration in nested plain values; `where` is their name in messages.

    Raises:
        error: if a key is unknown, missing or invalid.
    """
    # Through JSON: only for JSON does pydantic's strict mode convert lists to tuples, strings to
    # paths and objects to sections, and nothing else.
    try:
        text = json.dumps(raw, default=str)
    except (ValueError, RecursionError) as err:
        raise error(f"{where}: nested too deeply, or contains a number that is too large") from err
    try:
        adapter = TypeAdapter(config_type)
        return adapter.validate_json(text, context={"where": where})
    except ValidationError as err:
        raise error(f"{where}: {problems_of(err, config_type)}") from err


def to_dict(config: Any) -> dict[str, Any]:
    """Return the settings as nested plain values, in field order."""
    values: dict[str, Any] = to_jsonable_python(config)
    return values


def to_toml(config: Any) -> str:
    """Return all settings as TOML text, from which `load_config` restores the configuration."""
    return "\n".join(_toml_lines(to_dict(config), ())).lstrip("\n") + "\n"


def toml_value(value: Any) -> str:
    """Return a plain value in TOML syntax; None as "none".

    Raises:
        ConfigError: for a path that is not valid UTF-8.
    """
    if value is None:
        return '"none"'
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        require_utf8(value)
        # JSON and TOML use the same escapes, except that JSON does not escape DEL.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, list):
        return f"[{', '.join(toml_value(entry) for entry in value)}]"
    return repr(value)


def _toml_lines(table: Mapping[str, Any], path: tuple[str, ...]) -> Iterable[str]:
    """Yield the lines of a table: its own settings, then its subtables."""
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
