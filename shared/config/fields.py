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
_EXPECTED = {
    "bool_type": "true or false",
    "dataclass_type": "a table",
    "dict_type": "a table",
    "finite_number": "a finite number",
    "float_parsing": "a number",
    "float_type": "a number",
    "greater_than": "more than {gt}",
    "greater_than_equal": "at least {ge}",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "int_type": "a whole number",
    "invalid_key": "a name",
    "less_than": "less than {lt}",
    "less_than_equal": "at most {le}",
    "model_type": "a table",
    "multiple_of": "a multiple of {multiple_of}",
    "string_pattern_mismatch": "text like {pattern}",
    "string_too_short": "at least {min_length} character",
    "string_type": "a string",
    "time_delta_parsing": "a time such as 00:01:30.50",
    "too_long": "at most {max_length} entries",
    "too_short": "at least {min_length} entries",
    "tuple_type": "a list",
}
"""Expected values by pydantic's error type."""

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
    """Return a key and the reason why it is invalid."""
    fields, key = _locate(details["loc"], config_type, keys)
    match details["type"]:
        case "extra_forbidden" | "unexpected_keyword_argument":
            section, dot, name = key.rpartition(".")
            near = nearest(name, fields)
            hint = f"; the nearest valid one is {section + dot + near!r}" if near else ""
            return f"unknown key {key!r}{hint}"
        case "missing" if isinstance(details["loc"][-1], int):
            value = described(details["input"])
            return f"{key.rpartition('[')[0]}: too few elements in {value}"
        case "missing" | "missing_keyword_only_argument":
            return f"missing key {key!r}"
        case "union_tag_not_found":
            return f"missing key {key + '.' + _tag_name(details)!r}"
        case "union_tag_invalid":
            return f"{key}.{_tag_name(details)}: {refusal(details)}"
        case "json_invalid" if key:
            return f"{key}: expected JSON, got {described(details['input'])}"
    field = fields.get(str(details["loc"][-1])) if details["loc"] else None
    none = ' or "none"' if field and _NONE in field.metadata else ""
    return f"{key}{': ' if key else ''}{refusal(details, none=none)}"


def refusal(details: ErrorDetails, *, none: str = "") -> str:
    """Return the expected and the actual value.

    Args:
        details: one of pydantic's errors.
        none: alternative value to mention, such as ' or "none"'.
    """
    context = details.get("ctx", {})
    value = details["input"]
    match details["type"]:
        case "union_tag_invalid":
            return _not_one_of(context["tag"], context["expected_tags"])
        case "literal_error":
            return _not_one_of(value, context["expected"])
        case "value_error":
            return str(context["error"])
        case "json_invalid" if "surrogate" in str(context):
            return "contains text that is not UTF-8"
        case "json_invalid":
            return f"invalid JSON: {context['error']}"
        case kind:
            expected = details["msg"].replace("Input should be", "expected")
            if kind in _EXPECTED:
                limits = {name: _exact(limit) for name, limit in context.items()}
                expected = f"expected {_EXPECTED[kind].format(**limits)}"
            return f"{expected}{none}, got {described(value)}"


def _tag_name(details: ErrorDetails) -> str:
    return str(details["ctx"]["discriminator"]).strip("'")


def _not_one_of(value: Any, expected: str) -> str:
    """Return the message for a value outside pydantic's list `expected`: 'a', 'b' or 'c'."""
    expected = expected.replace(" or ", ", ")
    near = nearest(str(value), expected.replace("'", "").split(", "))
    hint = f"; did you mean {near!r}?" if isinstance(value, str) else ""
    return f"expected one of {expected}, got {described(value)}{hint}"


def _exact(limit: Any) -> Any:
    """Return a limit with all its digits, as an integer if possible."""
    return int(limit) if isinstance(limit, float) and limit.is_integer() else limit


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
