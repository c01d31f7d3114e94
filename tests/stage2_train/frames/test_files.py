"""A clip store that grows by further files: what is written and read, what a kill leaves."""

import os
import pickle
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from orn.shared.errors import ClipStoreError
from orn.shared.manifests.records import Video
from orn.shared.time_ranges import TimeRange, TimeRanges
from orn.stage2_train.frames import files
from orn.stage2_train.frames.files import file_path, files_there, num_kept, read_files, remove_files
from orn.stage2_train.frames.merge import merge, read_contents
from orn.stage2_train.frames.reader import ClipStore
from orn.stage2_train.frames.schema import StoreSettings
from orn.stage2_train.frames.seal import check_seal
from orn.stage2_train.frames.store_file import read_store
from orn.stage2_train.frames.verify import verify_store
from orn.stage2_train.frames.writer import build_clip_store, remaining_videos
from tests.stage2_train.frames.conftest import changed

SETTINGS = StoreSettings(height=24, width=32)
MB = 2**20


@pytest.fixture(autouse=True)
def no_file_is_small(monkeypatch) -> None:
    """Files of a few kB are treated as those of many MB are."""
    monkeypatch.setattr(files, "FEW_BYTES", 0)
    monkeypatch.setattr(files, "TIMES_LARGER", 1)


@pytest.fixture
def more(tmp_path, film) -> tuple[Video, ...]:
    """Films of one frame to add."""
    rows = []
    for number in range(6):
        path = tmp_path / "more" / f"{number}.mp4"
        film(path, num_frames=1, level=30 * number)
        rows.append(Video(id=f"more/{number}", path=path))
    return tuple(rows)


@pytest.fixture
def store(videos, tmp_path) -> Path:
    """A store of three films."""
    build_clip_store(videos, tmp_path / "clips.h5", SETTINGS)
    return tmp_path / "clips.h5"


def content(path: Path) -> dict[str, object]:
    """All that is read of each video."""
    return read_of(ClipStore(path))


def read_of(opened: ClipStore) -> dict[str, object]:
    """The same of a store that is open."""
    found: dict[str, object] = {}
    for name in opened.ids:
        frames = opened.frames(name)
        pictures = frames.read(np.arange(len(frames))).tobytes()
        found[name] = (frames.source_digest, frames.times, frames.seconds.tolist(), pictures)
    return found


def in_one_go(videos: tuple[Video, ...], path: Path) -> dict[str, object]:
    """What a store reads that was made of the videos at once."""
    build_clip_store(videos, path, SETTINGS)
    assert [*files_there(path)] == [path]
    return content(path)


def test_additions_write_their_own_bytes_alone_and_give_what_one_go_gives(
    store, videos, more, tmp_path, monkeypatch
) -> None:
    before = store.read_bytes(), store.stat().st_mtime_ns
    for number in range(1, 4):
        report = build_clip_store((*videos, *more[:number]), store, SETTINGS)
        assert (report.num_added, report.num_frames) == (1, 12 + number)
    assert (store.read_bytes(), store.stat().st_mtime_ns) == before
    assert len(files_there(store)) == 4
    wanted = (*videos, *more[:3])
    assert content(store) == in_one_go(wanted, tmp_path / "whole.h5")
    grown, whole = ClipStore(store), ClipStore(tmp_path / "whole.h5")
    assert grown.ids == whole.ids
    assert grown.digest(grown.ids) == whole.digest(whole.ids)
    assert remaining_videos(wanted, store, SETTINGS) == ()
    assert verify_store(store, wanted, ranges={}) == []
    monkeypatch.undo()
    build_clip_store((*videos, *more), store, SETTINGS)
    in_one_go((*videos, *more), tmp_path / "all.h5")
    assert [*files_there(store)] == [store]
    assert store.read_bytes() == (tmp_path / "all.h5").read_bytes()


@pytest.mark.parametrize(
    ("sizes", "added", "changed_file", "kept"),
    [
        ([], 5, None, 0),
        ([100], 24, None, 1),
        ([100], 25, None, 0),  # a quarter
        ([0.5], 0.01, None, 0),  # small
        ([1000, 260], 66, None, 0),  # what is joined is now too large for the one before
        ([1000, 200, 40], 1, 1, 1),  # one holds a video that is written anew
    ],
)
def test_which_files_stay(tmp_path, monkeypatch, sizes, added, changed_file, kept) -> None:
    monkeypatch.undo()
    found = []
    for number, size in enumerate(sizes):
        path = file_path(tmp_path / "clips.h5", number + 1)
        path.touch()
        os.truncate(path, round(size * MB))
        video = SimpleNamespace(video_id="changed" if number == changed_file else "other")
        found.append(SimpleNamespace(path=path, videos=(video,)))
    assert num_kept(found, {"changed", "new"}, round(added * MB)) == kept


def test_failures_are_told_until_the_video_can_be_read(store, videos, tmp_path, film) -> None:
    broken = Video(id="broken", path=tmp_path / "broken.mp4")
    broken.path.write_bytes(b"no video")
    for _ in range(2):
        report = build_clip_store((broken, *videos), store, SETTINGS)
        assert [row.id for row in report.failed] == ["broken"]
        assert "broken.mp4" in report.failed[0].reason
        assert [row.id for row in ClipStore(store).failed] == ["broken"]
    broken.path.unlink()
    build_clip_store((broken, *videos), store, SETTINGS)  # fails in another way
    assert "No such file" in ClipStore(store).failed[0].reason
    film(broken.path, num_frames=1)
    report = build_clip_store((broken, *videos), store, SETTINGS)
    assert (report.num_added, report.failed) == (1, ())
    assert ClipStore(store).failed == ()


def test_fresh_removes_further_files(store, videos, more) -> None:
    build_clip_store((*videos, more[0]), store, SETTINGS)
    build_clip_store(videos, store, SETTINGS, fresh=True)
    assert [*files_there(store)] == [store]
    assert len(ClipStore(store).ids) == 3


class Dies:
    """Ends the job before the n-th of its calls that change what is seen of a folder."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, left: int) -> None:
        self.left = left
        for owner, name in ((Path, "replace"), (Path, "unlink"), (shutil, "rmtree")):
            monkeypatch.setattr(owner, name, self._counted(getattr(owner, name)))

    def _counted(self, real: Callable[..., object]) -> Callable[..., object]:
        def call(*args: object, **options: object) -> object:
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt
            return real(*args, **options)

        return call


@pytest.mark.parametrize("wider", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_kill_leaves_the_store_before_or_after(videos, more, tmp_path, wider) -> None:
    """One addition, which keeps the first file, and one that joins three files to one."""
    path, wanted = tmp_path / "clips.h5", (*videos, *more[:3])
    begun = tmp_path / "begun"
    part = {videos[0].id: TimeRanges.of([TimeRange(9)])}
    for number in (3, 4, 5):
        build_clip_store(wanted[:number], begun / "clips.h5", SETTINGS, ranges=part)
    before = content(begun / "clips.h5")
    ranges = {} if wider else part
    build_clip_store(wanted, tmp_path / "whole.h5", SETTINGS, ranges=ranges)
    after, seen = content(tmp_path / "whole.h5"), set()
    for moment in range(1, 100):
        for file in files_there(begun / "clips.h5"):
            shutil.copy2(file, tmp_path)
        with pytest.MonkeyPatch.context() as patch:
            dies = Dies(patch, moment)
            with suppress(KeyboardInterrupt):
                build_clip_store(wanted, path, SETTINGS, ranges=ranges)
        found = content(path)
        assert found in (before, after)
        seen.add(found == after)
        build_clip_store(wanted, path, SETTINGS, ranges=ranges)
        assert content(path) == after
        assert len(files_there(path)) == len(read_files(path, read_store))
        remove_files(path, after=0)
        if dies.left > 0:
            break
    assert seen == {False, True}
    assert moment > 5


def test_a_file_left_behind_another_one_is_no_part_of_the_store(store, videos, more) -> None:
    build_clip_store((*videos, more[0]), store, SETTINGS)
    old = file_path(store, 2).read_bytes()
    store.unlink()
    build_clip_store(videos[:2], store, SETTINGS)
    file_path(store, 2).write_bytes(old)
    assert ClipStore(store).ids == tuple(video.id for video in videos[:2])
    build_clip_store(videos[:2], store, SETTINGS)
    assert [*files_there(store)] == [store]


def test_a_store_that_is_joined_while_it_is_opened(store, videos, more, tmp_path) -> None:
    build_clip_store((*videos, more[0]), store, SETTINGS)
    calls: Iterator[int] = iter(range(100))

    def read(path: Path) -> object:
        file = read_store(path)
        if next(calls) == 0:  # another process joins all, and the second file is gone
            part = {videos[0].id: TimeRanges.of([TimeRange(0, 1)])}
            build_clip_store((*videos, more[0]), tmp_path / "new.h5", SETTINGS, ranges=part)
            (tmp_path / "new.h5").replace(path)
            file_path(path, 2).unlink()
        return file

    (file,) = read_files(store, read)
    assert file.columns["video_id"].tolist() == [video.id for video in (*videos, more[0])]


@pytest.mark.parametrize(
    ("of", "settings", "found"),
    [
        ("more", replace(SETTINGS, jpeg_quality=80), "quality 92.*quality 80"),
        ("videos", SETTINGS, "group/1"),  # in both files
    ],
)
def test_a_further_file_that_does_not_fit_is_named(
    store, tmp_path, request, of, settings, found
) -> None:
    build_clip_store(request.getfixturevalue(of)[1:2], tmp_path / "other.h5", settings)
    rows = read_contents(tmp_path / "other.h5").videos
    merge(file_path(store, 2), settings=settings, videos=rows, follows=check_seal(store))
    message = rf"clips\.h5\.added-1: .*{found}"
    with pytest.raises(ClipStoreError, match=message):
        ClipStore(store)
    (problem,) = verify_store(store, (), ranges={})
    assert re.search(message, problem.message)


def test_damage_of_a_further_file_is_named(store, videos, more) -> None:
    build_clip_store((*videos, more[0]), store, SETTINGS)
    second = file_path(store, 2)
    whole = second.read_bytes()
    with changed(second) as file:
        file["jpeg"][:] = 0
    (problem,) = verify_store(store, (*videos, more[0]), ranges={})
    assert problem.video == "more/0"
    assert "clips.h5.added-1" in problem.message
    second.unlink()  # as the message says
    build_clip_store((*videos, more[0]), store, SETTINGS)
    assert second.read_bytes() == whole


def test_a_copy_by_pickle_of_a_store_that_grew_and_was_joined(
    store, videos, more, tmp_path
) -> None:
    build_clip_store((*videos, more[0]), store, SETTINGS)
    opened, wanted = ClipStore(store), content(store)
    build_clip_store((*videos, *more[:2]), store, SETTINGS)
    assert read_of(pickle.loads(pickle.dumps(opened))).items() >= wanted.items()
    in_one_go((*videos, *more[:2]), tmp_path / "whole.h5")
    (tmp_path / "whole.h5").replace(store)
    assert read_of(opened) == wanted
    assert read_of(pickle.loads(pickle.dumps(opened))).items() >= wanted.items()
    build_clip_store(videos, store, SETTINGS, fresh=True)
    with pytest.raises(ClipStoreError, match=r"clips\.h5.*changed"):
        pickle.dumps(opened)
