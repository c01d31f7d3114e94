"""Manifests and label tables of every kind, damaged: a data set comes of it, or a sentence."""

import io
import json
import os
import tempfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orn.shared.errors import DataRootError, ManifestError, PipelineError
from orn.shared.manifests.check import check_dataset
from orn.shared.manifests.load import load_dataset, load_listing, load_manifest
from tests.bounded import bounded
from tests.shared.manifests.conftest import MANIFEST, TABLE

HEAD = """
name = "mine"
title = "My data set"
form = "clips"
task = "single-label"
metric = "top1"
clip_frames = 4
root = "mine"
[videos]
pattern = "videos/{id}.mp4"
"""
FRAMES = (
    HEAD.replace('"clips"', '"frames"')
    + 'rate_table = {table = "rates.csv", video = "video", rate = "fps"}\n'
)
EPIC_ROWS = (
    "uid,narration_id,participant_id,video_id,start_timestamp,stop_timestamp,verb_class,"
    'noun_class,all_noun_classes\n0,n0,P01,P01_01,00:00:00.14,00:00:03.37,1,1,"[1, 0]"\n'
)
CLIPS = [{"id": "1", "template": "Opening [something]"}, {"id": "2", "template": "Closing it"}]


def matrix() -> bytes:
    """A label matrix of two clips and two classes."""
    file = io.BytesIO()
    np.save(file, np.array([[1, -1], [0, 1]], np.int8))
    return file.getvalue()


Files = dict[str, bytes]
KINDS: dict[str, Files] = {
    "table": {
        "m.toml": MANIFEST.encode(),
        "mine/labels.csv": TABLE.encode(),
        "mine/classes.txt": b"open\nclose\n",
    },
    "frames with a table of rates": {
        "m.toml": (FRAMES + '[labels]\nformat = "table"\ntable = "t"\nclasses = "c"\n').encode(),
        "mine/t": b"video,label,start,stop,id\na,open,0,1.5,x\nb,open,1,3,y\n",
        "mine/c": b"open\n",
        "mine/rates.csv": b"video,fps\na,30\nb,29.97\n",
    },
    "vlog": {
        "m.toml": (HEAD + '[labels]\nformat = "vlog"\n[split]\nrule = "number"\n')
        .replace("single-label", "multi-label")
        .replace("top1", "map")
        .encode(),
        "mine/meta/manifest.txt": b"O/a/1/\nO/b/2/\n",
        "mine/meta/splitId.txt": b"0\n2\n",
        "mine/meta/hand_object/hand_object_labels.txt": b"bag\nbed\n",
        "mine/meta/hand_object/hand_object.npy": matrix(),
    },
    "epic": {
        "m.toml": (
            HEAD + '[labels]\nformat = "epic"\ntarget = "action"\ntable = "t"\nverbs = "v"\n'
            'nouns = "n"\n[split]\nrule = "person"\n'
        ).encode(),
        "mine/t": EPIC_ROWS.encode(),
        "mine/v": b"verb_id,class_key\n0,take\n1,put\n",
        "mine/n": b"noun_id,class_key\n0,pan\n1,door\n",
    },
    "epic100": {
        "m.toml": (
            HEAD.replace("single-label", "multi-label").replace("top1", "map")
            + '[labels]\nformat = "epic100"\ntarget = "noun"\ntrain = "t"\nvalidation = "u"\n'
            'verbs = "v"\nnouns = "n"\n[split]\nrule = "file"\n'
        ).encode(),
        "mine/t": EPIC_ROWS.encode(),
        "mine/u": EPIC_ROWS.replace("n0", "n1").encode(),
        "mine/v": b"id,key\n0,take\n1,put\n",
        "mine/n": b"id,key\n0,pan\n1,door\n",
    },
    "something": {
        "m.toml": (HEAD + '[labels]\nformat = "something"\n[split]\nrule = "file"\n').encode(),
        "mine/labels/train.json": json.dumps(CLIPS[:1]).encode(),
        "mine/labels/validation.json": json.dumps(CLIPS[1:]).encode(),
        "mine/labels/labels.json": b'{"Opening something": "0", "Closing it": "1"}',
    },
    "something-v1": {
        "m.toml": (
            HEAD + '[labels]\nformat = "something-v1"\ntrain = "t"\nvalidation = "v"\n'
            'classes = "c"\n[split]\nrule = "file"\n'
        ).encode(),
        "mine/t": b"1;Opening something\n",
        "mine/v": b"2;Closing it\n",
        "mine/c": b"Opening something\nClosing it\n",
    },
}
PLACES = [(kind, name) for kind, files in KINDS.items() for name in files]


def write(folder: Path, files: Files) -> Path:
    """Writes the files of a data set; returns its manifest."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder / "m.toml"


@pytest.mark.parametrize("kind", KINDS)
def test_the_files_are_good_before_they_are_damaged(tmp_path: Path, kind: str) -> None:
    dataset = load_dataset(write(tmp_path, KINDS[kind]), tmp_path)
    assert len(dataset.missing) == (3 if kind == "table" else 2 if kind != "epic" else 1) or (
        kind == "epic100" and len(dataset.missing) == 1
    )
    assert dataset.classes


NASTY = tuple(
    text.encode("latin-1")
    for text in (
        *"\0\xc3\"'\n,;/",
        *("", "\xff\xfe", "\xef\xbb\xbf", "e\xcc\x81", "\xf3\xa0\x80\x81", "\\ud800"),
        *("-1", "1e400", "nan", "NaN", "1e23", "9" * 5000, "0.0", "1_0", "true", "null"),
        *("[" * 5000, '{"a":' * 5000, "{a=" * 3000, "x" * 20_000, "../../etc/passwd", "/etc"),
        *("{id}", "\x93NUMPY\x01\x00", "|O", "<f8"),
    )
)
damage = st.lists(
    st.tuples(st.floats(0, 1), st.integers(0, 30), st.sampled_from(NASTY) | st.binary(max_size=4)),
    min_size=1,
    max_size=4,
)


def damaged(content: bytes, changes: list[tuple[float, int, bytes]]) -> bytes:
    """The content, some bytes of it replaced."""
    for place, length, new in changes:
        start = int(place * len(content))
        content = content[:start] + new + content[start + length :]
    return content


@pytest.mark.parametrize(("kind", "name"), PLACES)
@given(changes=damage)
def test_damage_gives_a_data_set_or_a_sentence(
    kind: str, name: str, changes: list[tuple[float, int, bytes]]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        files = KINDS[kind] | {name: damaged(KINDS[kind][name], changes)}
        path = write(Path(folder), files)
        for read in (load_dataset, check_dataset):
            try:
                read(path, Path(folder))
            except PipelineError as err:
                assert len(str(err)) < 4000


class Wrong:
    """What is wrong in one file, and the words of its refusal."""

    TABLES = (
        ("a huge cell", b"video,label\na," + b"x" * 200_000, "field larger than field limit"),
        ("an endless cell", b'video,label\na,"' + b"x\n" * 10**6, "field larger than field limit"),
        ("an endless line", b"video,label\n" + b"x" * 10**8, "line 2: wanted at most 1,048,576 ch"),
        ("an endless row", b"video,label\n" + b"," * 10**6, "wanted 2 cells, found 1000001"),
        ("an endless header", b"," * 10**6, "at most 1000 columns, found 1000001"),
        ("too many rows", b"video,label\n" + b"\n" * 3_000_000, "at most 1,000,000 rows"),
        ("too large a file", b" " * (2**27 + 1), "at most 134,217,728 bytes, found 134,217,729"),
        ("another encoding", "video,label\n".encode("utf-16"), "wanted UTF-8 text"),
        ("nothing", b"", "wanted a column 'video', found nothing"),
        ("NUL bytes", b"video,label,split\na\0b,open,train\n", "cannot be printed"),
        ("time beyond numbers", b"video,label,start\na,open,1e400\n", "seconds from 0, found"),
        ("time of no number", b"video,label,start\na,open,nan\n", "seconds from 0, found 'nan'"),
        ("time before 0", b"video,label,start\na,open,-1\n", "seconds from 0, found '-1'"),
        (
            "time of no video",
            b"video,label,start\na,open,1e23\n",
            "seconds from 0, found '1e23'",
        ),
        (
            "an id of no text",
            b"video,label,id\na,open,a\x01\n",
            "characters that are no text",
        ),
        ("a long id", b"video,label,id\na,open," + b"i" * 5000, "longer than 1000 characters"),
        ("a long class", b"video,label\na," + b"i" * 9000, "unknown class 'iiii"),
    )
    LISTS = (
        ("deep arrays", b"[" * 10**6, "nested too deeply"),
        ("deep objects", b'{"a":' * 10**6, "nested too deeply"),
        ("an array of arrays", b"[" + b"[]," * 3_000_000 + b"[]]", "at most 4,000,000 values"),
        ("a huge number", b"[" + b"9" * 10**6 + b"]", "is not JSON"),
        ("no list", b"{}", "wanted an array, found dict"),
        ("a deep entry", b"[" + b"[" * 900 + b"]" * 900 + b"]", "wanted an object with a text"),
        ("half a character", b'[{"id": "\\ud800", "template": "a"}]', "cannot be printed"),
    )


@pytest.mark.parametrize(
    ("content", "message"), [pytest.param(*each[1:], id=each[0]) for each in Wrong.TABLES]
)
def test_tables_that_are_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = write(tmp_path, KINDS["table"] | {"mine/labels.csv": content})
    with pytest.raises(ManifestError, match=r"labels\.csv: ") as caught:
        load_dataset(path, tmp_path)
    assert message in str(caught.value)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    ("content", "message"), [pytest.param(*each[1:], id=each[0]) for each in Wrong.LISTS]
)
def test_lists_that_are_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = write(tmp_path, KINDS["something"] | {"mine/labels/train.json": content})
    with pytest.raises(ManifestError, match=r"train\.json: ") as caught:
        load_dataset(path, tmp_path)
    assert message in str(caught.value)
    assert len(str(caught.value)) < 1000


MANY_ROWS = b"".join(b"%d,open\n" % each for each in range(999_000))


def num_listed(path: Path, data_root: Path) -> int:
    """Segments that the tables list."""
    return len(load_listing(load_manifest(path), data_root).segments)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "name", "content"),
    [
        pytest.param("table", "mine/labels.csv", b"," * (2**27 - 1), id="commas"),
        pytest.param("table", "mine/labels.csv", b"video,label\n" + MANY_ROWS, id="rows"),
        pytest.param("table", "mine/classes.txt", b"\n" * (2**27 - 1), id="lines"),
        pytest.param(
            "something",
            "mine/labels/train.json",
            b"[" + b'{"":0},' * 1_999_000 + b"0]",
            id="objects",
        ),
    ],
)
def test_the_largest_files_stay_within_memory(
    tmp_path: Path, kind: str, name: str, content: bytes
) -> None:
    path = write(tmp_path, KINDS[kind] | {name: content})
    with suppress(ManifestError):
        assert bounded(num_listed, path, tmp_path) == 999_000


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.array([[{}, {}], [{}, {}]], object), "wanted a numpy array of numbers, found one of"),
        (np.array([["1", "0"], ["1", "0"]]), "wanted a numpy array of numbers, found one of <U1"),
        (np.zeros((2, 2), [("a", "i4"), ("b", "i4")]), "wanted a numpy array of numbers, found"),
        (np.zeros((2, 2), "complex64"), "wanted a numpy array of numbers, found one of complex64"),
        (np.zeros((2, 2, 2)), "wanted shape (2, 2) (clips x classes), found (2, 2, 2)"),
        (np.array([[1, 0], [np.nan, 0]]), "wanted -1, 0 or 1, found nan in row 1, column 0"),
        (np.array([[1, 0], [0, np.inf]]), "wanted -1, 0 or 1, found inf in row 1, column 1"),
    ],
)
def test_matrices_that_are_refused(tmp_path: Path, array: np.ndarray, message: str) -> None:
    path = write(tmp_path, KINDS["vlog"])
    np.save(tmp_path / "mine/meta/hand_object/hand_object.npy", array)
    with pytest.raises(ManifestError) as caught:
        load_dataset(path, tmp_path)
    assert message in str(caught.value)


def test_a_matrix_that_claims_a_terabyte(tmp_path: Path) -> None:
    path = write(tmp_path, KINDS["vlog"])
    file = tmp_path / "mine/meta/hand_object/hand_object.npy"
    file.write_bytes(matrix().replace(b"(2, 2)", b"(1000000000000,)"))
    with pytest.raises(ManifestError, match=r"hand_object\.npy"):
        bounded(load_dataset, path, tmp_path)


@pytest.mark.parametrize("name", ["m.toml", "mine/labels.csv", "mine/classes.txt"])
def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path, name: str) -> None:
    path = write(tmp_path, KINDS["table"])
    (tmp_path / name).unlink()
    os.mkfifo(tmp_path / name)
    with pytest.raises(PipelineError, match=rf"{name}: .*is a pipe, not a "):
        bounded(load_dataset, path, tmp_path)


@pytest.mark.parametrize("name", ["x" * 5000, "x" * 5000 + ".toml", "a/" + "x" * 300, "a\0b/c"])
def test_names_that_no_disk_can_have(tmp_path: Path, name: str) -> None:
    with pytest.raises(ManifestError) as caught:
        load_manifest(name)
    assert len(str(caught.value)) < 2000
    path = write(tmp_path, KINDS["table"])
    with pytest.raises(DataRootError, match="got no folder"):
        load_dataset(path, tmp_path / name)
