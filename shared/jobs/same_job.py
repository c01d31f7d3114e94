"""Compare the settings of a job with those in its folder; it resumes only if they agree."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from orn.shared.data_files import read_json
from orn.shared.errors import ConfigError
from orn.shared.jobs.atomic_file import write_text
from orn.shared.text import counted, path_text, truncate

_LONGEST = 60
"""Maximum number of characters of a value in a message."""


def begun_with(record: Path, requested: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the recorded settings of the job in a folder; record those of a new job.

    Args:
        record: JSON file in the folder.
        requested: settings of the job, plain JSON values.

    Raises:
        ConfigError: if the file does not contain settings.
        PipelineError: if the file cannot be written.
    """
    if not record.is_file():
        write_text(record, json.dumps(requested, indent=1) + "\n")
        return requested
    recorded = read_json(record)
    if not isinstance(recorded, dict):
        raise ConfigError(
            f"{path_text(record)}: expected the settings of a job, got {recorded!r:.80}; remove "
            "the file if the other files in its folder have the same settings"
        )
    return recorded


def start_over(num_videos: int) -> str:
    """Return the advice for a folder of results that a job cannot extend."""
    results = f"the results of {counted(num_videos, 'video')}"
    return f"choose a different --out, or start over with --fresh, which deletes {results}"


def check_same_job(
    recorded: Mapping[str, Any],
    requested: Mapping[str, Any],
    *,
    place: object,
    remedy: str,
) -> None:
    """Raise ConfigError unless a job has the same settings as the job that created its folder.

    Args:
        recorded: settings of the folder; may hold nested tables and lists.
        requested: settings of the job.
        place: where the settings are recorded, for the message.
        remedy: advice to the user if they differ, for the message.

    Raises:
        ConfigError: if settings differ; the message lists both values of each.
    """
    if different := differences(recorded, requested):
        raise ConfigError(f"{place}: settings have changed: {'; '.join(different)}; {remedy}")


def differences(
    recorded: Mapping[str, Any],
    requested: Mapping[str, Any],
    *,
    words: tuple[str, str] = ("as recorded", "as requested"),
) -> list[str]:
    """Return a phrase for each setting that differs; for two lists, only the first such element.

    Args:
        recorded: settings by name; may hold nested tables and lists.
        requested: settings to compare with.
        words: terms for the two sides in a phrase.
    """
    return list(_differences("", recorded, requested, *words))


def _differences(name: str, recorded: Any, requested: Any, here: str, there: str) -> Iterator[str]:
    if isinstance(recorded, Mapping) and isinstance(requested, Mapping):
        for key in dict.fromkeys([*recorded, *requested]):
            deeper = f"{name}.{key}" if name else str(key)
            yield from _differences(deeper, recorded.get(key), requested.get(key), here, there)
    elif isinstance(recorded, list | tuple) and isinstance(requested, list | tuple):
        if len(recorded) != len(requested):
            number = counted(len(recorded), "entry", "entries")
            yield f"{name} has {number} {here}, {len(requested)} {there}"
        for place, pair in enumerate(zip(recorded, requested, strict=False)):
            inner = list(_differences(f"{name}[{place}]", *pair, here, there))
            if inner:
                yield from inner
                return
    elif recorded != requested:
        yield f"{name} is {_value(recorded)} {here}, {_value(requested)} {there}"


def _value(value: Any) -> str:
    is_text = isinstance(value, str)
    return f"'{truncate(value, _LONGEST)}'" if is_text else truncate(repr(value), _LONGEST)
