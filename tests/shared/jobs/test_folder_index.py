"""The index of a folder: it spares reading the files, and is never believed wrongly."""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import pytest
from pydantic import ConfigDict, TypeAdapter

from orn.shared.errors import PipelineError
from orn.shared.jobs.folder_index import IndexedFile, IndexKind, index_folder


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """The record of a file of text."""

    __pydantic_config__: ClassVar = ConfigDict(extra="forbid", strict=True)

    words: tuple[str, ...]


def read_words(path: Path) -> Words:
    if not (words := path.read_text().split()):
        raise PipelineError(f"{path}: expected words, got none")
    return Words(words=tuple(words))


KIND = IndexKind(
    name="words.index.json",
    version="words 1",
    lines=TypeAdapter(IndexedFile[Words]),
    read=read_words,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in (("a", "one two"), ("b", "three"), ("c", "four five")):
        (tmp_path / f"{name}.txt").write_text(text + " " * 500)
    return tmp_path


@pytest.fixture
def opened(folder: Path) -> Callable[..., tuple[list[tuple[str, ...]], list[str]]]:
    """The words of all files, and which files were read for it."""

    def open_folder(**changes: int) -> tuple[list[tuple[str, ...]], list[str]]:
        read: list[str] = []

        def noted(path: Path) -> Words:
            read.append(path.name)
            return read_words(path)

        paths = sorted(folder.glob("*.txt"))
        entries = index_folder(folder, paths, replace(KIND, read=noted, **changes))
        assert list(entries) == paths
        return [entry.record.words for entry in entries.values()], read

    return open_folder


ALL = [("one", "two"), ("three",), ("four", "five")]
NAMES = ["a.txt", "b.txt", "c.txt"]


def test_files_are_read_once(opened: Callable[..., object], folder: Path) -> None:
    assert opened(least_files=4) == (ALL, NAMES)  # a few need no index
    assert not (folder / KIND.name).exists()
    assert opened() == (ALL, NAMES)
    assert opened() == (ALL, [])
    (folder / "b.txt").write_text("")
    with pytest.raises(PipelineError, match=r"b\.txt: expected words"):
        opened()


def test_what_changed_is_read_again(opened: Callable[..., object], folder: Path) -> None:
    opened()
    path = folder / "b.txt"
    before = path.stat()
    path.write_text(path.read_text().replace("three", "eight"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))  # the size is the same
    assert opened() == ([ALL[0], ("eight",), ALL[2]], ["b.txt"])
    path.rename(folder / "d.txt")
    assert opened() == ([ALL[0], ALL[2], ("eight",)], ["d.txt"])
    assert opened() == ([ALL[0], ALL[2], ("eight",)], [])


def test_any_flipped_bit_is_noticed(opened: Callable[..., object], folder: Path) -> None:
    opened()
    index = folder / KIND.name
    content = index.read_bytes()
    for place in range(len(content)):
        flipped = bytearray(content)
        flipped[place] ^= 1 << place % 8
        index.write_bytes(flipped)
        words, read = opened()
        assert (words, bool(read), index.read_bytes()) == (ALL, True, content)
