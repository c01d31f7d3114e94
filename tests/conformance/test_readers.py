"""Every reader of files, and every kind of damage: the right value, or an error that names the
file in one line. Nothing else is raised, nothing is waited for, and no memory is filled."""

import fnmatch
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from orn.shared.errors import ConfigError, PipelineError
from tests.bounded import bounded
from tests.conformance.damage import Damage, any_damage, edits
from tests.conformance.reader import Reader
from tests.conformance.readers import READERS

_SECONDS = 20
"""When a reader that does not end is stopped."""
_LONGEST = 10_000
READER = {reader.name: reader for reader in READERS}


class _Hung(BaseException):
    """A reader did not end."""


def _stop(*_: object) -> None:
    raise _Hung


def damages(reader: Reader, *, slow: bool) -> tuple[Damage, ...]:
    """All that is done to the files of a reader; much more of random damage if `slow`."""
    found = any_damage(seed=1, flips=200, cuts=40) if slow else any_damage()
    for document in reader.documents:
        found += edits(document, most=None if slow else reader.most_edits)
    return tuple(each for each in found + reader.own if each.name not in reader.skips)


def fault_of(reader: Reader, label: str, path: Path, good: Any) -> str | None:
    """What is wrong with how a damaged file is read; None if nothing is."""
    accepted = any(fnmatch.fnmatchcase(label, each) for each in reader.accepts)
    signal.setitimer(signal.ITIMER_REAL, _SECONDS)
    try:
        value = reader.read(path)
    except PipelineError as err:
        return _fault_of_message(str(err), path)
    except _Hung:
        return f"did not end in {_SECONDS} s"
    except BaseException as err:
        return f"raised {type(err).__name__}: {str(err)[:300]}"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    if accepted or (reader.equal(value, good) and not label.startswith("value ")):
        return None
    return f"was read as {str(value)[:200]}"


def _fault_of_message(message: str, path: Path) -> str | None:
    names = [str(ConfigError(name)) for name in (path.name, path.parent.name)]
    names += [ascii(name)[1:-1] for name in (path.name, path.parent.name)]
    if not message or not message.isprintable() or len(message) > _LONGEST:
        return f"is no line of text: {ascii(message)[:300]}"
    if not any(name in message for name in names):
        return f"does not name the file: {message[:300]}"
    return None


def faults_of(name: str, folder: Path, *, slow: bool) -> dict[str, str]:
    """By what was done, what is wrong with how a reader takes it."""
    reader = READER[name]
    whole, place = folder / "whole", folder / "place"
    place.mkdir()
    made = reader.make(place).relative_to(place)
    good = reader.read(place / made)
    shutil.copytree(place, whole, symlinks=True)
    signal.signal(signal.SIGALRM, _stop)
    faults = {}
    for damage in damages(reader, slow=slow):
        shutil.rmtree(place)
        shutil.copytree(whole, place, symlinks=True)
        for where, path in damage.apply(place / made):
            label = f"{damage.name}: {where}"
            if fault := fault_of(reader, label, path, good):
                faults[label] = fault
    return faults


@pytest.mark.parametrize("name", [reader.name for reader in READERS if not reader.slow])
def test_damage_is_an_error_or_the_right_value(name: str, tmp_path: Path) -> None:
    assert not bounded(faults_of, name, tmp_path, slow=False)


@pytest.mark.slow
@pytest.mark.parametrize("name", READER)
def test_more_damage_is_an_error_or_the_right_value(name: str, tmp_path: Path) -> None:
    assert not bounded(faults_of, name, tmp_path, slow=True)
