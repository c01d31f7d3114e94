"""Whether a job may go on in a folder that an earlier one began: only with the same settings."""

from collections.abc import Iterator, Mapping
from typing import Any

from orn.shared.errors import ConfigError, PipelineError
from orn.shared.text import counted

_LONGEST = 60
"""Letters of a value that a message shows."""


def check_same_job(
    found: Mapping[str, Any],
    wanted: Mapping[str, Any],
    *,
    place: object,
    remedy: str = "use --fresh to start over, or another --out",
    error: type[PipelineError] = ConfigError,
) -> None:
    """Checks that the settings of a job are those that its folder was begun with.

    Args:
        found: the recorded settings, which may hold tables of settings and lists.
        wanted: those asked for.
        place: where they are recorded.
        remedy: what to do if they differ.
        error: what to raise then.

    Raises:
        error: in one sentence: where, each setting that differs with both values, what to do.
    """
    if different := differences(found, wanted):
        raise error(
            f"{place}: the job there is not the one asked for: {'; '.join(different)}; {remedy}"
        )


def differences(
    found: Mapping[str, Any],
    wanted: Mapping[str, Any],
    *,
    words: tuple[str, str] = ("there", "asked for"),
) -> list[str]:
    """What differs, a phrase each; of two lists only the first place.

    Args:
        found: settings by name, which may hold tables of settings and lists.
        wanted: others to compare with.
        words: what tells the two apart in a phrase.
    """
    return list(_differences("", found, wanted, *words))


def _differences(name: str, found: Any, wanted: Any, here: str, there: str) -> Iterator[str]:
    if isinstance(found, Mapping) and isinstance(wanted, Mapping):
        for key in dict.fromkeys([*found, *wanted]):
            deeper = f"{name}.{key}" if name else str(key)
            yield from _differences(deeper, found.get(key), wanted.get(key), here, there)
    elif isinstance(found, list | tuple) and isinstance(wanted, list | tuple):
        if len(found) != len(wanted):
            number = counted(len(found), "entry", "entries")
            yield f"{name} has {number} {here}, {len(wanted)} {there}"
        for place, pair in enumerate(zip(found, wanted, strict=False)):
            inner = list(_differences(f"{name}[{place}]", *pair, here, there))
            if inner:
                yield from inner
                return
    elif found != wanted:
        yield f"{name} is {_short(found)} {here}, {_short(wanted)} {there}"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
