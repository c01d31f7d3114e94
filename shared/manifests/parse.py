"""Reading a manifest file, and saying what is wrong in it in the words of the file."""

import tomllib
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from shared.errors import ManifestError
from shared.manifests.schema import Manifest
from shared.nearest import nearest

__all__ = ["parse_manifest", "parse_text"]


def parse_manifest(path: Path) -> Manifest:
    """The manifest in a TOML file.

    Raises:
        ManifestError: naming the file, and each key that is unknown (with the nearest valid one),
            missing or not what it may be.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as err:
        raise ManifestError(f"{path}: cannot be read ({err.strerror})") from err
    except UnicodeDecodeError as err:
        raise ManifestError(f"{path}: is not a TOML file ({err})") from err
    return parse_text(text, path)


def parse_text(text: str, path: Path) -> Manifest:
    """The manifest in the text of a file, which need not be there.

    Raises:
        ManifestError: as `parse_manifest`.
    """
    try:
        raw = tomllib.loads(text)
    except ValueError as err:
        raise ManifestError(f"{path}: is not a TOML file ({err})") from err
    try:
        return Manifest.model_validate(raw, context={"source": path})
    except ValidationError as err:
        problems = "; ".join(_explain(details) for details in err.errors())
        raise ManifestError(f"{path}: {problems}") from err


def _explain(details: ErrorDetails) -> str:
    """One problem that pydantic found, in our words."""
    model, names = _locate(details["loc"])
    key = ".".join(names)
    context = details.get("ctx", {})
    found = details["input"]
    match details["type"]:
        case "extra_forbidden":
            valid = [".".join([*names[:-1], name]) for name in model.model_fields]
            return f"unknown key {key!r}; the nearest valid one is {nearest(key, valid)!r}"
        case "missing":
            return f"missing key {key!r}"
        case "union_tag_not_found":
            return f"missing key {key + '.' + context['discriminator'].strip(chr(39))!r}"
        case "union_tag_invalid":
            tags = context["expected_tags"].replace("'", "").split(", ")
            return _not_one_of(
                f"{key}.{context['discriminator'].strip(chr(39))}", context["tag"], tags
            )
        case "literal_error":
            options = context["expected"].replace(" or ", ", ").replace("'", "").split(", ")
            return _not_one_of(key, found, options)
        case "value_error":
            return f"{key}: {context['error']}" if key else str(context["error"])
        case _:
            return f"{key}: {details['msg'][:1].lower()}{details['msg'][1:]}, found {found!r:.80}"


def _not_one_of(key: str, found: Any, options: list[str]) -> str:
    near = nearest(str(found), options)
    return f"{key}: wanted {', '.join(options)}, found {found!r}; did you mean {near!r}?"


def _locate(loc: tuple[int | str, ...]) -> tuple[type[BaseModel], list[str]]:
    """The model in which a problem lies, and the key as the file has it.

    Pydantic's path also holds the tag that chose one model of a union ("vlog" in
    labels.vlog.matrix); the file's key does not.
    """
    model: type[BaseModel] = Manifest
    alternatives: list[type[BaseModel]] = [Manifest]
    names: list[str] = []
    for part in loc:
        if len(alternatives) > 1:
            model = next(other for other in alternatives if _tag(other) == part)
            alternatives = [model]
            continue
        names.append(str(part))
        field = model.model_fields.get(str(part))
        inner = _models_in(field.annotation) if field else []
        if inner:
            alternatives = inner
            model = inner[0]
    return model, names


def _tag(model: type[BaseModel]) -> Any:
    """The value of `format` or `rule` that chooses a model."""
    first = next(iter(model.model_fields.values()))
    return get_args(first.annotation)[0]


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for inner in get_args(annotation) for model in _models_in(inner)]
