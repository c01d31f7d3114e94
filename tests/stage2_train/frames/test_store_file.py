"""Files that are no clip store, or whose datasets are not what they should be: each a sentence."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5py
import numpy as np
import pytest
from h5py import h5d, h5p, h5s, h5t

from orn.shared.errors import ClipStoreError
from orn.stage2_train.frames.merge import merge, read_contents
from orn.stage2_train.frames.parts import write_frames
from orn.stage2_train.frames.reader import ClipStore
from orn.stage2_train.frames.schema import COLUMNS, StoreSettings
from orn.stage2_train.frames.seal import write_seal
from orn.stage2_train.frames.store_file import read_store
from orn.stage2_train.frames.verify import verify_store
from tests.bounded import bounded
from tests.stage2_train.frames.conftest import changed

SETTINGS = StoreSettings(height=24, width=32)


@pytest.fixture(scope="module")
def part(tmp_path_factory) -> Path:
    """A part of one video of four frames."""
    path = tmp_path_factory.mktemp("part") / "part.h5"
    frames = [
        SimpleNamespace(index=n, seconds=n / 10, image=np.full((24, 32, 3), 50 * n, np.uint8))
        for n in range(4)
    ]
    write_frames(path, frames, video_id="film", source_digest="sha256:0", settings=SETTINGS)
    return path


@pytest.fixture
def store(part, tmp_path) -> Path:
    """A store of that video."""
    path = tmp_path / "clips.h5"
    merge(path, settings=SETTINGS, videos=read_contents(part).videos)
    return path


def _replaced(name: str, make: Callable[[h5py.File], Any]) -> Callable[[h5py.File], None]:
    def damage(file: h5py.File) -> None:
        del file[name]
        made = make(file)
        if made is not None:
            file[name] = made

    return damage


def _with_plan(
    name: str, change: Callable[[h5p.PropDCID], None], rows: int = 1
) -> Callable[[h5py.File], None]:
    """A dataset of the right type that was made in another way."""

    def damage(file: h5py.File) -> None:
        plan = h5p.create(h5p.DATASET_CREATE)
        change(plan)
        kind = h5t.py_create(np.dtype(COLUMNS[name].dtype))
        del file[name]
        h5d.create(file.id, name.encode(), kind, h5s.create_simple((rows,)), plan)

    return damage


def _virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout(shape=(1,), dtype="<i8")
    layout[:] = h5py.VirtualSource("/nowhere/secret.h5", "seconds", shape=(1,))
    del file["stored_height"]
    file.create_virtual_dataset("stored_height", layout)


def _group(file: h5py.File) -> None:
    del file["seconds"]
    file.create_group("seconds")


def _named_type(file: h5py.File) -> None:
    file["kind"] = np.dtype("<f8")
    del file["seconds"]
    file.create_dataset("seconds", shape=(4,), dtype=file["kind"])
    del file["kind"]


def _far_offsets(file: h5py.File) -> None:
    file["video_offsets"][:] = [0, 2**40]
    file["video_offsets"].attrs["crc32c"] = 0


EXTERNAL = h5py.ExternalLink("/nowhere/secret.h5", "/stored_height")
DAMAGE: list[tuple[str, Callable[[h5py.File], None], str]] = [
    (
        "external link",
        _replaced("stored_height", lambda _: EXTERNAL),
        "dataset stored_height: wanted a dataset in this file, found a link to another file",
    ),
    (
        "soft link",
        _replaced("stored_height", lambda _: h5py.SoftLink("/stored_width")),
        "stored_height: wanted a dataset in this file, found a soft link",
    ),
    (
        "dangling link",
        _replaced("seconds", lambda _: h5py.SoftLink("/nothing")),
        "seconds: wanted a dataset in this file, found a soft link",
    ),
    ("virtual", _virtual, "stored_height: wanted contiguous data, found virtual data"),
    (
        "external storage",
        _with_plan("stored_height", lambda plan: plan.set_external(b"/nowhere/secret", 0, 8)),
        "stored_height: wanted data in this file, found 1 other file",
    ),
    (
        "compact",
        _with_plan("stored_height", lambda plan: plan.set_layout(h5d.COMPACT)),
        "stored_height: wanted contiguous data, found compact data",
    ),
    (
        "deflated",
        _replaced(
            "seconds",
            lambda file: (
                file.create_dataset("seconds", data=np.arange(4.0), compression="gzip") and None
            ),
        ),
        "seconds: wanted contiguous data, found chunked data",
    ),
    (
        "never written",
        _with_plan("seconds", lambda plan: plan.set_alloc_time(h5d.ALLOC_TIME_LATE), rows=2**40),
        "seconds: wanted 1099511627776 rows in a file of",
    ),
    ("group", _group, "seconds: wanted a dataset, found a group"),
    ("named type", _named_type, "seconds: wanted numbers of type float64, found another type"),
    (
        "type alone",
        _replaced("seconds", lambda _: np.dtype("<f8")),
        "seconds: wanted a dataset, found a type",
    ),
    (
        "references",
        _replaced("seconds", lambda file: np.array([file["jpeg"].ref] * 4, h5py.ref_dtype)),
        "seconds: wanted numbers of type float64, found another type",
    ),
    (
        "big-endian",
        _replaced("seconds", lambda _: np.arange(4, dtype=">f8")),
        "seconds: wanted numbers of type float64, found another type",
    ),
    (
        "text for numbers",
        _replaced("stored_height", lambda _: np.array([b"24"])),
        "stored_height: wanted numbers of type int64, found another type",
    ),
    (
        "numbers for text",
        _replaced("video_id", lambda _: np.arange(1)),
        "video_id: wanted text, found another type",
    ),
    (
        "bytes that are no text",
        _replaced(
            "video_id",
            lambda file: (
                file.create_dataset(
                    "video_id", data=np.array([b"\xff\xfe"], object), dtype=h5py.string_dtype()
                )
                and None
            ),
        ),
        "utf-8",
    ),
    ("scalar", _replaced("seconds", lambda _: 1.0), "seconds: wanted one axis, found a single"),
    (
        "no value",
        _replaced("seconds", lambda _: h5py.Empty("<f8")),
        "seconds: wanted one axis, found a single value, none",
    ),
    (
        "two axes",
        _replaced("seconds", lambda _: np.zeros((4, 1))),
        "seconds: wanted one axis, found a single value, none, or more axes",
    ),
    ("absent", _replaced("seconds", lambda _: None), "wanted the dataset seconds, found none"),
    (
        "another name",
        lambda file: file.create_dataset("extra", data=[1]),
        "wanted the datasets of a clip store alone, found 'extra' as well",
    ),
    (
        "shorter",
        _replaced("ranges", lambda _: np.zeros(0, h5py.string_dtype())),
        "wanted 1 rows of ranges, found 0",
    ),
    (
        "offsets past the end",
        _far_offsets,
        "wanted video_offsets that rise from 0 to 4, found others",
    ),
    (
        "a size of another store",
        lambda file: file["stored_width"].write_direct(np.array([31])),
        "video film: wanted frames of 24x32, found 24x31",
    ),
    (
        "a source of no size",
        lambda file: file["source_width"].write_direct(np.array([0])),
        "video film: wanted a source_width of at least 1, found 0",
    ),
    (
        "another digest",
        lambda file: file["source_digest"].__setitem__(0, "sha256:1"),
        "dataset source_digest is damaged (wanted CRC-32C",
    ),
    (
        "too many pixels",
        lambda file: (file.attrs.create("height", 65500), file.attrs.modify("width", 65500)),
        "found 65500x65500",
    ),
    (
        "adds to several files",
        lambda file: file.attrs.create("follows", [1, 2]),
        "attribute follows: wanted one number or one text",
    ),
]


@pytest.mark.parametrize(
    ("damage", "message"), [row[1:] for row in DAMAGE], ids=[row[0] for row in DAMAGE]
)
def test_what_no_clip_store_has_is_refused(store, damage, message) -> None:
    with changed(store) as file:
        damage(file)
    with pytest.raises(ClipStoreError) as caught:
        ClipStore(store)
    assert str(caught.value).startswith(f"{store}: ")
    assert message in str(caught.value)
    with pytest.raises(ClipStoreError):
        read_contents(store)
    ((video, text),) = [(row.video, row.message) for row in verify_store(store, (), ranges={})]
    assert video == ""
    assert message in text


@pytest.mark.parametrize("link", ["external", "virtual", "storage"])
def test_no_other_file_is_opened(store, tmp_path, link) -> None:
    canary = tmp_path / "canary.h5"
    os.mkfifo(canary)  # whoever opens it waits for ever
    name = str(canary)
    with changed(store) as file:
        if link == "external":
            _replaced("stored_height", lambda _: h5py.ExternalLink(name, "/a"))(file)
        elif link == "storage":
            place = (name.encode(), 0, 8)
            _with_plan("stored_height", lambda plan: plan.set_external(*place))(file)
        else:
            layout = h5py.VirtualLayout(shape=(1,), dtype="<i8")
            layout[:] = h5py.VirtualSource(name, "a", shape=(1,))
            del file["stored_height"]
            file.create_virtual_dataset("stored_height", layout)
    with pytest.raises(ClipStoreError, match="dataset stored_height: wanted"):
        bounded(read_store, store)


def test_one_long_text_for_many_rows(store) -> None:
    rows = 2**16
    with changed(store) as file:
        for name in ("failed_id", "failed_reason"):
            del file[name]
            texts = ["x" * 60_000] + ["a"] * (rows - 1)
            file.create_dataset(name, data=texts, dtype=h5py.string_dtype())
        places = [file[name].id.get_offset() for name in ("failed_id", "failed_reason")]
    with store.open("r+b") as raw:
        for place in places:
            raw.seek(place)
            first = raw.read(16)
            raw.seek(place)
            raw.write(first * rows)
    write_seal(store, [])
    with pytest.raises(ClipStoreError, match="the texts of failed_id are longer than the file"):
        bounded(read_store, store)


def test_a_store_without_a_seal_is_not_given_to_hdf5(store) -> None:
    with h5py.File(store, "a") as file:
        file.attrs["rate"] = 0.0
    with pytest.raises(ClipStoreError, match=r"clips\.h5: has no checksum .* --fresh"):
        read_store(store)
    store.write_bytes(b"\x89HDF\r\n\x1a\n" + b"orn-clips-v1")
    with pytest.raises(ClipStoreError, match=r"clips\.h5: has no checksum"):
        read_store(store)


def test_a_part_is_read_as_a_store_is(part) -> None:
    store = ClipStore(part)
    assert store.frames("film").read(np.arange(4)).mean(axis=(1, 2, 3)).tolist() == [
        0,
        50,
        100,
        150,
    ]
    assert verify_store(part, (), ranges={}) == []


def test_a_damaged_part_is_not_merged(part, tmp_path) -> None:
    path = tmp_path / "part.h5"
    shutil.copy(part, path)
    videos = read_contents(path).videos
    with path.open("r+b") as raw:
        raw.seek(read_store(path).jpeg.starts[0] + 900)
        raw.write(b"\x55")
    with pytest.raises(ClipStoreError, match=r"part\.h5: video film: frame \d is damaged"):
        merge(tmp_path / "clips.h5", settings=SETTINGS, videos=videos)
    assert not (tmp_path / "clips.h5").exists()
