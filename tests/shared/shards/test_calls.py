"""How often files are opened and read for a clip: each call is a millisecond on shared storage."""

import pickle
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orn.shared.shards import chunks, index
from orn.shared.shards.reader import DetectionFolder
from tests.worlds.shards import counted, drawn_detections, write_shard

MOST_OPENS, MOST_READS = 4, 12
FRAMES, OBJECTS = 700, 10
IO = Path("/proc/self/io")

_opened: list[str] = []


def _note(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open":
        _opened.append(str(arguments[0]))


@pytest.fixture(scope="module", autouse=True)
def _noting() -> None:
    sys.addaudithook(_note)  # sees every way to open a file, and stays


def reads_so_far() -> int:
    """Calls that read something, as the kernel counts them, that of this file among them."""
    return int(IO.read_text().split("syscr: ")[1].split()[0])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two shards of the usual size, each of two videos, and their index."""
    monkeypatch.setattr(index, "SHARD_INDEX", replace(index.SHARD_INDEX, least_files=2))
    frames = [drawn_detections(seed, OBJECTS) for seed in range(7)]
    placed = counted([frames[row % 7] for row in range(FRAMES)])
    for number in range(2):
        videos = {f"a{number}": placed, f"b{number}": placed}
        write_shard(tmp_path / f"shard-00000{number}.zarr.zip", videos, size=(12, 17))
    DetectionFolder(tmp_path)
    return tmp_path


@pytest.mark.skipif(not IO.exists(), reason="the kernel does not count calls")
@pytest.mark.parametrize("rows", [[100, 101, 104, 110], [0, 90, 222, 300, 380, 555, 601, 699]])
def test_calls_of_a_cold_clip(folder: Path, rows: list[int]) -> None:
    whole = DetectionFolder(folder)
    places = whole.places("b1")
    copy = pickle.loads(pickle.dumps(whole))
    copy.video("a0", whole.places("a0")).frames_at([0])  # another shard, so that all is imported
    chunks.OPEN_FILES.clear()  # as in a new process
    _opened.clear()
    before = reads_so_far()
    found = copy.video("b1", places).frames_at(rows)
    opens = len(_opened)
    reads = reads_so_far() - before - 1
    assert [each.masks for each in found] == [
        drawn_detections(row % 7, OBJECTS).masks for row in rows
    ]
    assert opens <= MOST_OPENS
    assert reads <= MOST_READS
