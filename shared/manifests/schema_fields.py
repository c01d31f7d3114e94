"""What the values of a manifest's keys may be: paths that stay inside, names, rates."""

import string
from pathlib import PurePosixPath
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

__all__ = ["PLACEHOLDERS", "ConfigName", "Name", "Pattern", "Rate", "RelativePath", "Section"]

PLACEHOLDERS = ("{id}", "{person}")
"""`{id}` is a video's id, `{person}` the part of it before the first underscore."""


def _relative(text: str) -> str:
    """Refuses a path that would leave the folder it is relative to."""
    path = PurePosixPath(text)
    if path.is_absolute() or ".." in path.parts:
        raise ValueError(f"wanted a path inside the folder it is relative to, found {text!r}")
    if not text or any(ord(character) < 32 or ord(character) == 127 for character in text):
        raise ValueError(f"wanted a path without control characters, found {text!r}")
    return text


def _pattern(text: str) -> str:
    rest = _relative(text)
    for placeholder in PLACEHOLDERS:
        rest = rest.replace(placeholder, "")
    if "{id}" not in text or set(rest) & set("{}"):
        raise ValueError(
            f"wanted a path with {{id}} in it (and possibly {{person}}), found {text!r}"
        )
    return text


def _name(text: str) -> str:
    if not text or set(text) - set(string.ascii_letters + string.digits + "-_"):
        raise ValueError(f"wanted letters, digits, - and _ only, found {text!r}")
    return text


def _config_name(text: str) -> str:
    """Refuses a file: a configuration is Python, which a manifest must not bring along."""
    if not text or "/" in text or "\\" in text or text.endswith(".py"):
        raise ValueError(
            "wanted the name of a configuration of the model zoo or of a detector that comes with "
            f"the project, found {text!r}; a file of your own goes to `orn detect --config`"
        )
    return text


RelativePath = Annotated[str, AfterValidator(_relative)]
ConfigName = Annotated[str, AfterValidator(_config_name)]
Pattern = Annotated[str, AfterValidator(_pattern)]
Name = Annotated[str, AfterValidator(_name)]
Rate = Annotated[float, Field(gt=0, le=1000)]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
