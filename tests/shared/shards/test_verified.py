"""Shards are verified once, wherever the record of it can be kept."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from orn.shared.errors import ShardFormatError, ShardNotFoundError
from orn.shared.shards.column import write_group
from orn.shared.shards.verified import RECORD_NAME, record_verified, unverified, verify_all
from orn.shared.shards.zarr_zip import read_layout
from tests.shared.shards.conftest import ShardMaker, arrays_in, columns_of


class Counter:
    """A bar that only counts."""

    def __init__(self) -> None:
        self.count = 0

    def advance(self, n: int = 1, *, note: str | None = None) -> None:
        self.count += n


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "orn" / RECORD_NAME


@pytest.fixture
def shards(tmp_path: Path, write_shard: ShardMaker) -> tuple[Path, ...]:
    """Three shards of three videos."""
    paths = [tmp_path / "shards" / f"shard-{number:06d}.zarr.zip" for number in range(3)]
    for name, path in zip("abc", paths, strict=True):
        write_shard(path, {name: (range(4), np.arange(4) / 10)})
    return tuple(paths)


def verify(paths: Sequence[Path], *, workers: int = 1) -> int:
    """How many had to be verified."""
    bar = Counter()
    verify_all(unverified(paths), workers=workers, bar=bar)
    return bar.count


def with_wrong_scores(path: Path) -> None:
    """Gives a shard scores that are no numbers, and the right checksums."""
    arrays = arrays_in(path)
    arrays["scores"][2] = np.nan
    write_group(path, columns=columns_of(arrays), attributes=read_layout(path)[0])


def test_each_shard_is_verified_once(shards: tuple[Path, ...]) -> None:
    assert verify(shards[:2]) == 2
    assert verify(shards) == 1
    assert verify(shards) == 0
    assert len((shards[0].parent / RECORD_NAME).read_text().splitlines()) == 3


def test_a_shard_that_changes_or_lies_elsewhere(
    shards: tuple[Path, ...], write_shard: ShardMaker, cache: Path
) -> None:
    verify(shards)
    write_shard(shards[1], {"d": (range(4), np.arange(4) / 10)})
    assert list(unverified(shards)) == [shards[1]]
    moved = shards[0].parent / "shard-000009.zarr.zip"
    shards[0].rename(moved)
    os.utime(moved, (1, 1))
    assert unverified([moved]) == {}
    assert not cache.exists()


def test_a_folder_that_cannot_be_written_to_is_remembered_elsewhere(
    shards: tuple[Path, ...], cache: Path
) -> None:
    (shards[0].parent / RECORD_NAME).mkdir()
    assert verify(shards) == 3
    assert len(cache.read_text().splitlines()) == 3
    assert verify(shards) == 0
    cache.unlink()
    cache.mkdir()
    assert verify(shards) == 3  # nothing can be remembered, and nothing breaks


def test_shards_that_were_just_written_are_recorded(shards: tuple[Path, ...]) -> None:
    record_verified(shards[1])
    assert list(unverified(shards)) == [shards[0], shards[2]]


def test_the_first_that_is_wrong_ends_it_and_is_named(shards: tuple[Path, ...]) -> None:
    with_wrong_scores(shards[1])
    message = (
        r"shard-000001\.zarr\.zip: array 'scores': detection 2: wanted 0 to 1, found nan.*; remove "
        r"it and run what wrote it again \(`orn verify .*shards` looks at all shards"
    )
    with pytest.raises(ShardFormatError, match=message):
        verify(shards)
    assert list(unverified(shards)) == list(shards[1:])


def test_several_processes_do_the_same(
    shards: tuple[Path, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orn.shared.shards.verify._ALONE_BYTES", 0)
    assert verify(shards, workers=2) == 3
    assert verify(shards, workers=2) == 0


@pytest.mark.parametrize("text", ["", "rules-0 " + "a" * 64 + " x", "\0\xff", "rules-1 abc"])
def test_a_record_that_says_nothing_is_not_believed(shards: tuple[Path, ...], text: str) -> None:
    (shards[0].parent / RECORD_NAME).write_text(text)
    assert len(unverified(shards)) == 3


def test_records_that_are_no_files_are_not_waited_for(shards: tuple[Path, ...]) -> None:
    os.mkfifo(shards[0].parent / RECORD_NAME)
    assert len(unverified(shards)) == 3


def test_a_record_that_is_a_link_is_not_written_through(
    shards: tuple[Path, ...], tmp_path: Path, cache: Path
) -> None:
    (tmp_path / "canary").write_text("")
    (shards[0].parent / RECORD_NAME).symlink_to(tmp_path / "canary")
    assert verify(shards) == 3
    assert (tmp_path / "canary").read_text() == ""
    assert len(cache.read_text().splitlines()) == 3


def test_a_name_of_two_lines_takes_one(shards: tuple[Path, ...]) -> None:
    odd = shards[0].rename(shards[0].parent / f"shard-0\nrules-1 {'a' * 64} .zarr.zip")
    assert verify([odd]) == 1
    assert len((odd.parent / RECORD_NAME).read_text().splitlines()) == 1


def test_what_is_no_shard_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "shard-000000.zarr.zip"
    with pytest.raises(ShardNotFoundError, match="no such shard"):
        unverified([path])
    for content in (b"", b"PK\x05\x06", b"x" * 100):
        path.write_bytes(content)
        with pytest.raises(ShardFormatError, match="not a whole shard"):
            unverified([path])
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(ShardFormatError, match="which is a file, found none"):
        unverified([path])
