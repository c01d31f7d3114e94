"""Every reader of files, and every kind of damage: the right value, or an error that names the
file in one line. Nothing else is raised, nothing is waited for, and no memory is filled."""

import fnmatch
import shutil
import signal
from collections import defaultdict
from collections.abc import Callable
from functools import cache
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
Faults = dict[str, list[str]]


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


def faults_of(name: str, folder: Path, *, slow: bool) -> Faults:
    """By damage, what is wrong with how a reader takes it."""
    reader = READER[name]
    whole, place = folder / "whole", folder / "place"
    place.mkdir()
    made = reader.make(place).relative_to(place)
    good = reader.read(place / made)
    shutil.copytree(place, whole, symlinks=True)
    signal.signal(signal.SIGALRM, _stop)
    faults: Faults = {}
    for damage in damages(reader, slow=slow):
        shutil.rmtree(place)
        shutil.copytree(whole, place, symlinks=True)
        found = [
            (where, fault_of(reader, f"{damage.name}: {where}", path, good))
            for where, path in damage.apply(place / made)
        ]
        faults[damage.name] = [f"{where}: {fault}" for where, fault in found if fault]
    return faults


@pytest.fixture(scope="session")
def faults(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Faults]:
    """`faults_of`, once for all damages of a reader, in a process with bounded time and memory."""

    @cache
    def find(name: str, *, slow: bool) -> Faults:
        try:
            return bounded(faults_of, name, tmp_path_factory.mktemp("reader"), slow=slow)
        except (Exception, pytest.fail.Exception) as err:  # told by each test of the reader
            reason = str(err)
            return defaultdict(lambda: [reason])

    return find


def cases(*, slow: bool) -> list[Any]:
    """Reader and damage; readers that take seconds to import are slow."""
    marks = lambda reader: [pytest.mark.slow] if slow or reader.slow else []  # noqa: E731
    return [
        pytest.param(reader.name, damage.name, marks=marks(reader))
        for reader in READERS
        for damage in damages(reader, slow=slow)
    ]


@pytest.mark.parametrize(("reader", "damage"), cases(slow=False))
def test_damage_is_an_error_or_the_right_value(
    reader: str, damage: str, faults: Callable[..., Faults]
) -> None:
    assert not faults(reader, slow=False)[damage]


@pytest.mark.parametrize(("reader", "damage"), cases(slow=True))
def test_more_damage_is_an_error_or_the_right_value(
    reader: str, damage: str, faults: Callable[..., Faults]
) -> None:
    assert not faults(reader, slow=True)[damage]
