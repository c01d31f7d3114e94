"""Files of masks from others: each that cannot be read fails its clip and is told once."""

import io
import json
import os
import pickle
import pickletools
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orn.shared.errors import MaskImportError
from orn.shared.masks.rules import frame_faults
from orn.shared.shards.reader import DetectionFolder
from orn.shared.shards.verify import verify_shard
from orn.stage1_detect.imports.authors_vlog import read_authors
from orn.stage1_detect.imports.epic100 import read_epic100
from orn.stage1_detect.imports.mask_track import MaskTrack, read_bytes
from orn.stage1_detect.imports.restricted_pickle import load_plain
from tests.bounded import bounded
from tests.stage1_detect.imports.conftest import (
    Found,
    block_mask,
    pack_frame,
    write_authors,
    write_epic,
)
from tests.stage1_detect.imports.test_commands import BLOCK, run_in
from tests.worlds.tables import counted_videos

OUTSIDE: Found = ((10, 20, 50, 75), block_mask(10, 20, 53, 75), 0.75, 3)


def make_pipe(path: Path, _: Path) -> None:
    os.mkfifo(path)


def link_to(target: str) -> Callable[[Path, Path], None]:
    def make(path: Path, outside: Path) -> None:
        path.symlink_to(outside if target == "outside" else target)

    return make


BAD: dict[str, tuple[Callable[[Path, Path], Any], str]] = {
    "pipe": (make_pipe, "pipe.pkl: is a pipe, not a file"),
    "loop": (link_to("loop.pkl"), "loop.pkl: cannot be opened (Too many levels of symbolic links)"),
    "gone": (link_to("nowhere.pkl"), "gone.pkl: no such file"),
    "out": (link_to("outside"), "out.pkl: is a link that leads out of the folder of masks"),
    "device": (link_to("/dev/zero"), "device.pkl: is a link that leads out of the folder of masks"),
    "cut": (lambda path, _: path.write_bytes(b"\x80\x04]"), "cut.pkl: a damaged pickle: "),
    "beyond": (
        lambda path, _: write_authors(path, [[], [OUTSIDE]]),
        "beyond.pkl: frame 1: masks of detection 0: wanted a mask inside its box",
    ),
}


@pytest.mark.parametrize("workers", [1, 2])
def test_each_bad_file_fails_its_clip_and_is_told_once(tmp_path: Path, workers: int) -> None:
    counted_videos(tmp_path, {}, absent=["good", *BAD, "same"])
    masks, outside = tmp_path / "masks", tmp_path / "outside.pkl"
    write_authors(masks / "good.pkl", [[BLOCK]])
    write_authors(outside, [[BLOCK]])
    (masks / "same.pkl").symlink_to("good.pkl")  # inside of the folder
    for name, (make, _) in BAD.items():
        make(masks / f"{name}.pkl", outside)
    common = ("--format", "authors", "--json", "--workers", workers)
    dry = run_in(tmp_path, *map(str, common), "--dry-run")
    assert dry.exit_code == 0, dry.output
    result = run_in(tmp_path, *map(str, common))
    assert result.exit_code == 3, result.output
    reasons = {each["id"]: each["reason"] for each in json.loads(result.stdout)["unreadable"]}
    assert set(reasons) == set(BAD)
    for name, (_, message) in BAD.items():
        assert reasons[name].startswith(message)
        assert result.stderr.count(f"{name}.pkl: ") == 1
    assert set(DetectionFolder(tmp_path / "shards").video_ids) == {"good", "same"}
    for shard in (tmp_path / "shards").glob("shard-*"):
        assert verify_shard(shard) == []


def test_a_folder_of_masks_that_is_a_link_is_read(tmp_path: Path) -> None:
    counted_videos(tmp_path, {}, absent=["a"])
    write_authors(tmp_path / "disk" / "a.pkl", [[BLOCK]])
    (tmp_path / "masks").symlink_to("disk")
    assert run_in(tmp_path, "--format", "authors").exit_code == 0


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.pkl")
    with pytest.raises(MaskImportError, match=r"a\.pkl: is a pipe, not a file"):
        bounded(read_bytes, tmp_path / "a.pkl")


@pytest.mark.parametrize("objects", [2_000_000, 100_000, 10_001])
def test_a_frame_of_endless_objects(tmp_path: Path, objects: int) -> None:
    """Each of them takes four bytes."""
    path = tmp_path / "P01_01.pkl"
    path.write_bytes(pickle.dumps([b"\x10\x01" + b"\x1a\x02\x20\x01" * objects], 3))
    with pytest.raises(MaskImportError, match=r"P01_01.pkl: .*wanted .*at most .*, found"):
        bounded(read_epic100, path)


def test_import_refuses_what_verify_refuses(tmp_path: Path) -> None:
    """By one rule: a pixel outside of the box is a rounding, two are not."""
    for right, is_fine in ((50, True), (51, True), (52, False)):
        found: Found = ((10, 20, 50, 75), block_mask(10, 20, right, 75), 0.75, 3)
        path = write_authors(tmp_path / "clip.pkl", [[BLOCK], [found]])
        if is_fine:
            assert len(read_authors(path).frames) == 2
        else:
            with pytest.raises(MaskImportError, match=r"frame 1: masks of .* its box"):
                read_authors(path)


# Arbitrary damage -------------------------------------------------------------------------------

ARGUMENTS = {
    "uint1": 1,
    "uint2": 2,
    "int4": 4,
    "uint4": 4,
    "uint8": 8,
    "float8": 8,
}
WORDS = st.sampled_from(
    [
        *(bytes([0x8C, len(word)]) + word for word in (b"segms", b"boxes", b"size", b"counts")),
        *(
            b"c" + module + b"\n" + name + b"\n"
            for module, name in (
                (b"numpy.core.multiarray", b"_reconstruct"),
                (b"numpy", b"ndarray"),
                (b"numpy", b"dtype"),
                (b"os", b"system"),
            )
        ),
        b"K\x00",
        b"K\x05\x85",
        b"C\x01b",
        b"KdKd\x86",
        b"\x8c\x02f4\x89\x88\x87R",
        b"(K\x03\x8c\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb",
        b"C\x14" + b"\x00" * 20,
    ]
)


def instructions() -> st.SearchStrategy[bytes]:
    """One instruction of any protocol, with an argument of its length, or a piece of an array."""
    codes = [
        st.binary(min_size=size, max_size=size).map(opcode.code.encode("latin-1").__add__)
        for opcode in pickletools.opcodes
        for size in [ARGUMENTS.get(opcode.arg.name, 3) if opcode.arg else 0]
    ]
    small = st.builds(
        lambda code, place: code + bytes([place]), st.sampled_from([b"h", b"q"]), st.integers(0, 6)
    )
    return st.one_of(
        WORDS,
        small,
        st.sampled_from(
            [
                b"]",
                b"}",
                b")",
                b"(",
                b"\x94",
                b"a",
                b"e",
                b"s",
                b"u",
                b"t",
                b"R",
                b"b",
                b"\x85",
                b"\x86",
                b"\x87",
            ]
        ),
        *codes,
    )


def read_whatever(reader: Callable[[Path], MaskTrack], path: Path) -> None:
    """A track by the rules, or an error of ours."""
    with suppress(MaskImportError):
        track = reader(path)
        assert len(track.numbers) == len(track.frames)
        assert not any(frame_faults(frame) for frame in track.frames)


@given(st.lists(instructions(), max_size=40))
def test_any_instructions(parts: list[bytes]) -> None:
    with suppress(MaskImportError):
        load_plain(b"\x80\x04" + b"".join(parts) + b".", source="masks.pkl")


def flipped(data: bytes, changes: list[tuple[int, int]]) -> bytes:
    changed = bytearray(data)
    for place, value in changes:
        changed[place % len(changed)] ^= value
    return bytes(changed)


CHANGES = st.lists(st.tuples(st.integers(0, 2**32), st.integers(1, 255)), min_size=1, max_size=4)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("masks")


@given(changes=CHANGES, length=st.none() | st.integers(0, 2000))
def test_any_bytes_of_the_authors_files_changed(
    folder: Path, changes: list[tuple[int, int]], length: int | None
) -> None:
    whole = write_authors(folder / "whole.pkl", [[BLOCK], [], [BLOCK, BLOCK]]).read_bytes()
    path = folder / "clip.pkl"
    path.write_bytes(flipped(whole, changes)[:length])
    read_whatever(read_authors, path)


@pytest.mark.real_data
@given(changes=CHANGES)
def test_any_bytes_of_a_published_file_changed(sample_data: Path, folder: Path, changes) -> None:
    clip = sample_data / "vlog" / "masks" / "preds_100x100_50" / "o/p/Y/v_7Tsrimk7opY/052/clip.pkl"
    path = folder / "clip.pkl"
    path.write_bytes(flipped(clip.read_bytes(), changes))
    read_whatever(read_authors, path)


@given(changes=CHANGES, in_message=st.booleans())
def test_any_bytes_of_epics_files_changed(
    folder: Path, changes: list[tuple[int, int]], in_message: bool
) -> None:
    found: Found = ((0.1, 0.2, 0.5, 0.75), block_mask(10, 20, 50, 75), 0.625, 3)
    path = write_epic(folder / "P01_01.pkl", [(1, [found]), (4, [found, found])])
    if in_message:  # so that the pickle is whole and the message is not
        message = flipped(pack_frame(2, [found, found]), changes)
        path.write_bytes(pickle.dumps([message, pack_frame(7, [])], 3))
    else:
        path.write_bytes(flipped(path.read_bytes(), changes))
    read_whatever(read_epic100, path)


@given(st.lists(st.binary(max_size=60), max_size=4))
def test_any_messages(folder: Path, messages: list[bytes]) -> None:
    path = folder / "P01_02.pkl"
    path.write_bytes(pickle.dumps(messages, 3))
    read_whatever(read_epic100, path)


def test_damage_of_numbers_is_in_the_fuzzing(tmp_path: Path) -> None:
    """NaN and infinities of boxes and scores, which flips of bytes seldom make."""
    for value in (np.nan, np.inf, -np.inf, -1, 101):
        for place in range(5):
            box = [10, 20, 50, 75, 0.5]
            box[place] = value
            path = write_authors(tmp_path / "clip.pkl", [[(box[:4], BLOCK[1], box[4], 3)]])
            with pytest.raises(MaskImportError, match=r"clip\.pkl: frame 0: (boxes|scores)"):
                read_authors(path)


def test_messages_are_short_whatever_a_file_says(tmp_path: Path) -> None:
    path = tmp_path / "P01_01.pkl"
    path.write_bytes(pickle.dumps([b"\x10\x01" + b"\x1a\x02\x20\x70" * 5000], 3))
    with pytest.raises(
        MaskImportError, match=r"frame number 1: wanted classes 1 to 80, found 112$"
    ):
        read_epic100(path)
    shape = pickle.dumps(tuple([1, 2] * 50_000), 4)[:-1].removeprefix(b"\x80\x04")
    array = pickle.dumps(np.zeros(5, np.float32), 4)
    with pytest.raises(MaskImportError) as caught:
        load_plain(array.replace(b"K\x05\x85", shape), source="masks.pkl")
    assert len(str(caught.value)) < 200


def test_numpys_own_files_are_refused(tmp_path: Path) -> None:
    """Boxes without masks are published as `.npy`; nothing reads them."""
    content = io.BytesIO()
    np.save(content, np.array([None, {}], dtype=object), allow_pickle=True)
    (tmp_path / "clip.pkl").write_bytes(content.getvalue())
    for reader in (read_authors, read_epic100):
        with pytest.raises(MaskImportError, match=r"clip\.pkl: "):
            reader(tmp_path / "clip.pkl")
