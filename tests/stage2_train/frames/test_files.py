"""A clip store that grows by further files: what is written and read, what a kill leaves."""

import pickle
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from orn.shared.errors import ClipStoreError
from orn.shared.manifests.records import Video
from orn.shared.time_ranges import TimeRange, TimeRanges
from orn.stage2_train.frames import files, writer
from orn.stage2_train.frames.files import file_path, files_there, num_kept, read_files, remove_files
from orn.stage2_train.frames.make_clips import PART_BYTES
from orn.stage2_train.frames.merge import merge, read_contents
from orn.stage2_train.frames.parts import parts_folder
from orn.stage2_train.frames.reader import ClipStore
from orn.stage2_train.frames.schema import FailedClip, StoreSettings
from orn.stage2_train.frames.seal import check_seal
from orn.stage2_train.frames.store_file import read_store
from orn.stage2_train.frames.verify import verify_store
from orn.stage2_train.frames.writer import build_clip_store, joined_bytes, remaining_videos
from tests.stage2_train.frames.conftest import changed

SETTINGS = StoreSettings(height=24, width=32)
MB = 2**20


@pytest.fixture(autouse=True)
def no_file_is_small(monkeypatch) -> None:
    """Files of a few kB are treated as those of many MB are."""
    monkeypatch.setattr(files, "_FEW_BYTES", 0)
    monkeypatch.setattr(files, "_TIMES_LARGER", 1)


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
    opened = ClipStore(path)
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


def state(path: Path) -> tuple[int, int, bytes]:
    """Which file it is, when it was written, what it holds."""
    return path.stat().st_ino, path.stat().st_mtime_ns, path.read_bytes()


def test_an_added_video_writes_its_own_bytes_alone(store, videos, more, tmp_path) -> None:
    before = state(store)
    report = build_clip_store((*videos, more[0]), store, SETTINGS)
    assert (report.num_added, report.num_present, report.num_frames) == (1, 3, 13)
    assert state(store) == before
    assert [*files_there(store)] == [store, file_path(store, 2)]
    assert file_path(store, 2).name == "clips.h5.added-1"
    added = read_contents(file_path(store, 2))
    assert file_path(store, 2).stat().st_size < added.videos[0].num_bytes + PART_BYTES
    assert not parts_folder(store).exists()
    assert content(store) == in_one_go((*videos, more[0]), tmp_path / "whole.h5")
    grown, whole = ClipStore(store), ClipStore(tmp_path / "whole.h5")
    assert grown.ids == whole.ids
    assert grown.digest(grown.ids) == whole.digest(whole.ids)
    assert remaining_videos((*videos, more[0]), store, SETTINGS) == ()
    assert verify_store(store, (*videos, more[0]), ranges={}) == []


def test_nothing_new_writes_nothing(store, videos, more, monkeypatch) -> None:
    build_clip_store((*videos, more[0]), store, SETTINGS)
    before = [state(file) for file in files_there(store)]
    monkeypatch.setattr(writer, "merge", lambda *args, **options: pytest.fail("written"))
    assert build_clip_store(videos, store, SETTINGS).num_present == 3
    assert [state(file) for file in files_there(store)] == before


def test_a_store_below_a_megabyte_is_one_file(store, videos, more, monkeypatch) -> None:
    monkeypatch.undo()
    build_clip_store((*videos, more[0]), store, SETTINGS)
    assert [*files_there(store)] == [store]


@pytest.mark.parametrize(
    ("sizes", "added", "changed_file", "kept"),
    [
        ([], 5, None, 0),
        ([100], 1, None, 1),  # one new video
        ([100], 24, None, 1),
        ([100], 25, None, 0),  # a quarter
        ([0.5], 0.01, None, 0),  # small
        ([1000, 100], 25, None, 1),
        ([1000, 260], 66, None, 0),  # what is joined is now too large for the one before
        ([100_000, 10_000, 1000, 100], 0, None, 4),
        ([1000, 200, 40], 1, 1, 1),  # one holds a video that is written anew
        ([1000, 200, 40], 1, 0, 0),
    ],
)
def test_which_files_stay(tmp_path, monkeypatch, sizes, added, changed_file, kept) -> None:
    monkeypatch.undo()
    found = []
    for number, size in enumerate(sizes):
        path = file_path(tmp_path / "clips.h5", number + 1)
        with path.open("wb") as file:
            file.truncate(round(size * MB))
        video = SimpleNamespace(video_id="changed" if number == changed_file else "other")
        found.append(SimpleNamespace(path=path, videos=(video,)))
    assert num_kept(found, {"changed", "new"}, round(added * MB)) == kept


def test_many_additions_are_few_files_and_few_bytes(monkeypatch) -> None:
    """One MB, five thousand times, to a store of ten GB."""
    monkeypatch.undo()

    def file(megabytes: int) -> SimpleNamespace:
        status = SimpleNamespace(st_size=megabytes * MB)
        return SimpleNamespace(path=SimpleNamespace(stat=lambda: status), videos=(), size=megabytes)

    store, most, written = [file(10_000)], 0, 0
    for _ in range(5000):
        kept = num_kept(store, (), MB)
        size = 1 + sum(each.size for each in store[kept:])
        store[kept:] = [file(size)]
        most, written = max(most, len(store)), written + size
    assert most <= 7
    assert written < 20 * 15_000


def test_additions_give_what_one_go_gives(store, videos, more, tmp_path, monkeypatch) -> None:
    for number in range(1, 4):
        build_clip_store((*videos, *more[:number]), store, SETTINGS)
    assert len(files_there(store)) == 4
    assert content(store) == in_one_go((*videos, *more[:3]), tmp_path / "whole.h5")
    monkeypatch.undo()
    build_clip_store((*videos, *more), store, SETTINGS)
    assert [*files_there(store)] == [store]
    assert store.read_bytes() == _bytes_in_one_go((*videos, *more), tmp_path / "all.h5")


def test_fresh_removes_further_files(store, videos, more) -> None:
    build_clip_store((*videos, more[0]), store, SETTINGS)
    build_clip_store(videos, store, SETTINGS, fresh=True)
    assert [*files_there(store)] == [store]
    assert len(ClipStore(store).ids) == 3


def test_a_video_that_failed_is_added_when_it_succeeds(
    store, videos, tmp_path, film, monkeypatch
) -> None:
    monkeypatch.setattr(files, "_FEW_BYTES", 15_000)  # as a megabyte is to a long store
    broken = Video(id="broken", path=tmp_path / "broken.mp4")
    broken.path.write_bytes(b"no video")
    before = state(store)
    assert [row.id for row in build_clip_store((broken, *videos), store, SETTINGS).failed] == [
        "broken"
    ]
    assert [row.id for row in ClipStore(store).failed] == ["broken"]
    told = [state(file) for file in files_there(store)]
    assert len(told) == 2
    build_clip_store((broken, *videos), store, SETTINGS)  # fails as before
    assert [state(file) for file in files_there(store)] == told
    broken.path.unlink()
    build_clip_store((broken, *videos), store, SETTINGS)  # fails in another way
    (row,) = ClipStore(store).failed
    assert "No such file" in row.reason
    assert [len(each.failed) for each in read_files(store, read_contents)] == [0, 1]
    film(broken.path, num_frames=1)
    report = build_clip_store((broken, *videos), store, SETTINGS)
    assert (report.num_added, report.failed) == (1, ())
    assert ClipStore(store).failed == ()
    assert state(store) == before


def test_wider_times_are_written_to_the_file_that_held_the_video(
    store, videos, more, tmp_path
) -> None:
    first = {more[0].id: TimeRanges.of([TimeRange(5, 6)])}
    build_clip_store((*videos, more[0]), store, SETTINGS, ranges=first)
    before = state(store)
    report = build_clip_store((*videos, *more[:1]), store, SETTINGS)
    assert (report.num_added, len(files_there(store))) == (1, 2)
    assert state(store) == before
    assert content(store) == in_one_go((*videos, more[0]), tmp_path / "whole.h5")


def test_a_video_of_the_first_file_that_is_written_anew_joins_all(videos, more, tmp_path) -> None:
    path = tmp_path / "clips.h5"
    part = {videos[0].id: TimeRanges.of([TimeRange(9)])}
    build_clip_store(videos, path, SETTINGS, ranges=part)
    build_clip_store((*videos, more[0]), path, SETTINGS, ranges=part)
    assert len(files_there(path)) == 2
    build_clip_store((*videos, more[0]), path, SETTINGS)
    assert path.read_bytes() == _bytes_in_one_go((*videos, more[0]), tmp_path / "whole.h5")
    assert [*files_there(path)] == [path]


def _bytes_in_one_go(videos: tuple[Video, ...], path: Path) -> bytes:
    in_one_go(videos, path)
    return path.read_bytes()


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


def test_parts_that_a_kill_left_behind_a_whole_store_write_nothing(
    store, videos, more, monkeypatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(writer.shutil, "rmtree", lambda *args, **options: None)
        build_clip_store((*videos, more[0]), store, SETTINGS)
    assert parts_folder(store).exists()
    monkeypatch.setattr(writer, "merge", lambda *args, **options: pytest.fail("written"))
    build_clip_store((*videos, more[0]), store, SETTINGS)
    assert not parts_folder(store).exists()


def test_a_file_left_behind_another_one_is_no_part_of_the_store(store, videos, more) -> None:
    build_clip_store((*videos, more[0]), store, SETTINGS)
    old = file_path(store, 2).read_bytes()
    store.unlink()
    build_clip_store(videos[:2], store, SETTINGS)
    file_path(store, 2).write_bytes(old)
    assert ClipStore(store).ids == tuple(video.id for video in videos[:2])
    build_clip_store(videos[:2], store, SETTINGS)
    assert [*files_there(store)] == [store]


def _further(
    store: Path, tmp_path: Path, videos: tuple[Video, ...], settings: StoreSettings
) -> None:
    """A further file of videos, whatever the store holds."""
    build_clip_store(videos, tmp_path / "other.h5", settings)
    rows = read_contents(tmp_path / "other.h5").videos
    merge(file_path(store, 2), settings=settings, videos=rows, follows=check_seal(store))


def test_files_of_other_settings_are_no_store(store, videos, more, tmp_path) -> None:
    _further(store, tmp_path, more[:1], replace(SETTINGS, jpeg_quality=80))
    message = (
        r"clips\.h5\.added-1: as a part of .*clips\.h5 wanted frames of 24x32 at JPEG quality 92, "
        "every frame, found .*quality 80.*; remove it and run `orn clips` again"
    )
    with pytest.raises(ClipStoreError, match=message):
        ClipStore(store)
    with pytest.raises(ClipStoreError, match=r"clips\.h5\.added-1: wanted .* found .*quality 80"):
        build_clip_store(videos, store, SETTINGS)
    ((video, text),) = [(row.video, row.message) for row in verify_store(store, (), ranges={})]
    assert (video, "clips.h5.added-1: as a part of" in text) == ("", True)


def test_a_video_in_two_files_is_no_store(store, videos, tmp_path) -> None:
    _further(store, tmp_path, videos[1:2], SETTINGS)
    with pytest.raises(
        ClipStoreError, match=r"clips\.h5\.added-1: .* no video of a file .* group/1;"
    ):
        ClipStore(store)


def test_damage_of_a_further_file_is_named(store, videos, more) -> None:
    build_clip_store((*videos, more[0]), store, SETTINGS)
    second = file_path(store, 2)
    whole = second.read_bytes()
    with changed(second) as file:
        file["jpeg"][:] = 0
    ((video, text),) = [
        (row.video, row.message) for row in verify_store(store, (*videos, more[0]), ranges={})
    ]
    assert video == "more/0"
    assert "clips.h5.added-1: video more/0: frame 0 is damaged" in text
    second.write_bytes(whole[:-1])
    with pytest.raises(ClipStoreError, match=r"clips\.h5\.added-1: has no checksum behind it"):
        ClipStore(store)
    second.unlink()  # as the message says
    build_clip_store((*videos, more[0]), store, SETTINGS)
    assert second.read_bytes() == whole


def test_only_what_is_written_again_is_counted(store, more) -> None:
    assert joined_bytes(store, {more[0].id}, 1000) == 0
    assert joined_bytes(store, {"group/1"}, 1000) == store.stat().st_size
    assert joined_bytes(store, {more[0].id}, MB) == store.stat().st_size


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


def _sums(store: ClipStore) -> dict[str, int]:
    return {
        name: int(store.frames(name).read(np.arange(len(store.frames(name)))).sum())
        for name in store.ids
    }


@pytest.mark.slow  # starts a process that imports anew; the next one pickles in this one
@pytest.mark.timeout(300)
def test_another_process_reads_all_files(store, videos, more) -> None:
    build_clip_store((*videos, more[0]), store, SETTINGS)
    opened = ClipStore(store)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        assert pool.submit(_sums, opened).result(timeout=280) == _sums(opened)


def test_a_copy_by_pickle_of_a_store_that_grew_and_was_joined(
    store, videos, more, tmp_path
) -> None:
    build_clip_store((*videos, more[0]), store, SETTINGS)
    opened = ClipStore(store)
    wanted = _sums(opened)
    build_clip_store((*videos, *more[:2]), store, SETTINGS)
    assert _sums(pickle.loads(pickle.dumps(opened))).items() >= wanted.items()
    in_one_go((*videos, *more[:2]), tmp_path / "whole.h5")
    (tmp_path / "whole.h5").replace(store)
    assert _sums(opened) == wanted
    assert _sums(pickle.loads(pickle.dumps(opened))).items() >= wanted.items()
    build_clip_store(videos, store, SETTINGS, fresh=True)
    with pytest.raises(ClipStoreError, match="the clip store has changed since it was opened"):
        pickle.dumps(opened)


def test_failures_of_all_files_are_told(store, more) -> None:
    rows = [FailedClip(id="b", reason="no"), FailedClip(id=more[0].id, reason="no")]
    merge(file_path(store, 2), settings=SETTINGS, videos=[], failed=rows, follows=check_seal(store))
    build_clip_store(more[:1], store, SETTINGS)
    assert [row.id for row in ClipStore(store).failed] == ["b"]
