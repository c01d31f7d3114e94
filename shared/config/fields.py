"""Types for configuration fields and messages for invalid values.

A configuration is a pydantic dataclass or model with `STRICT`; its types carry the constraints.
"""

import re
import reprlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, TypeVar, get_args

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from orn.shared.text import nearest, truncate

STRICT = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)

_T = TypeVar("_T")
_P = TypeVar("_P", str, Path)
_NONE = BeforeValidator(lambda value: None if value == "none" else value)


def _without_nul(path: _P) -> _P:
    if "\0" in str(path):
        raise ValueError("expected a path, got one with a NUL character")
    return path


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError(f"expected printable characters, got {ascii(text)[:80]}")
    return text


Maybe = Annotated[_T | None, _NONE]
"""A value or None. TOML has no null, so the string "none" stands for None."""
FilePath = Annotated[Path, AfterValidator(_without_nul)]
"""A path without NUL characters, which JSON and TOML allow but file systems do not."""
FileName = Annotated[str, AfterValidator(_without_nul)]
Printable = Annotated[str, AfterValidator(_printable)]
"""A name without control characters, which terminals, tables and pages would interpret."""
Count = Annotated[int, Field(ge=1, lt=2**31)]
Positive = Annotated[float, Field(gt=0)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]

_SHOWN_PROBLEMS = 8
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 80
_SHORT.maxlist = 8
_SHORT.maxlevel = 3


def problems_of(
    err: ValidationError, config_type: Any, *, keys: Mapping[str, str] = MappingProxyType({})
) -> str:
    """Return a message with each invalid key, its expected value and its actual value.

    Args:
        err: pydantic's error.
        config_type: type of the configuration.
        keys: names of keys in the file, where they differ from the names of fields.
    """
    refused = err.errors(include_url=False)
    shown = refused[:_SHOWN_PROBLEMS]
    problems = [truncate(_problem(details, config_type, keys)) for details in shown]
    more = [f"and {len(refused) - len(problems)} more"] if len(refused) > len(problems) else []
    return "; ".join(problems + more)


def _problem(details: ErrorDetails, config_type: Any, keys: Mapping[str, str]) -> str:
    """Return a key and the reason why it is invalid, in pydantic's words."""
    fields, key = _locate(details["loc"], config_type, keys)
    where, kind = f"{key}: " if key else "", details["type"]
    if kind in ("extra_forbidden", "unexpected_keyword_argument"):
        section, dot, name = key.rpartition(".")
        near = nearest(name, fields)
        hint = f"; the nearest valid one is {section + dot + near!r}" if near else ""
        return f"unknown key {key!r}{hint}"
    if kind in ("missing", "missing_keyword_only_argument"):
        return f"missing key {key!r}"
    if kind == "value_error":
        return f"{where}{details['ctx']['error']}"
    reason = details["msg"].replace("Input should be", "expected")
    return f"{where}{reason}, got {described(details['input'])}"


def described(value: Any) -> str:
    """Return a short description of an invalid value."""
    if value is None:
        return "nothing (null)"
    if isinstance(value, dict):
        return "a table"
    try:
        return _SHORT.repr(value)
    except ValueError:  # an integer with more digits than Python prints
        return "a number that is too large"


_UNION_MEMBER = re.compile(r"int|str|float|bool|(function-\w+|constrained-\w+|list)(\[.*\])?")
"""How pydantic's paths name the members of a union."""


def _locate(
    loc: Sequence[int | str], config_type: Any, keys: Mapping[str, str]
) -> tuple[dict[str, Any], str]:
    """Return the fields of the section that has an invalid value, and the value's key in the file.

    Unlike the file's key, pydantic's path includes the tag of a union ("vlog" in
    labels.vlog.matrix) or the type of one of its members.
    """
    fields: dict[str, Any] = {}
    key = ""
    sections = [config_type]
    for part in loc:
        if isinstance(part, int):
            key += f"[{part}]"
        elif _UNION_MEMBER.fullmatch(part):
            continue
        elif len(sections) > 1:
            sections = [section for section in sections if _tag(section) == part]
        else:
            key += f".{part}" if key else keys.get(part, part)
            fields = getattr(sections[0], "__pydantic_fields__", {}) if sections else {}
            sections = _sections_in(fields[part].annotation) if part in fields else []
    return fields, key


def _tag(section: Any) -> Any:
    """Return the value of `format` that selects a section."""
    return get_args(next(iter(section.__pydantic_fields__.values())).annotation)[0]


def _sections_in(annotation: Any) -> list[Any]:
    if hasattr(annotation, "__pydantic_fields__"):
        return [annotation]
    return [section for inner in get_args(annotation) for section in _sections_in(inner)]
