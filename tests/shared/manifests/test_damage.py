"""Label tables beyond their bounds, and cells that are refused with their row."""

from contextlib import suppress
from pathlib import Path

import pytest

from orn.shared.errors import DataRootError, ManifestError
from orn.shared.manifests.load import load_dataset, load_listing, load_manifest
from tests.bounded import bounded
from tests.conformance.datasets import write_dataset


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
        ("no list", b"{}", "expected an array, got a table"),
        ("a deep entry", b"[" + b"[" * 900 + b"]" * 900 + b"]", "wanted an object with a text"),
        ("half a character", b'[{"id": "\\ud800", "template": "a"}]', "cannot be printed"),
    )


@pytest.mark.parametrize(
    ("content", "message"), [pytest.param(*each[1:], id=each[0]) for each in Wrong.TABLES]
)
def test_tables_that_are_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = write_dataset(tmp_path, "table", {"mine/labels.csv": content}) / "m.toml"
    with pytest.raises(ManifestError, match=r"labels\.csv: ") as caught:
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
    path = write_dataset(tmp_path, kind, {name: content}) / "m.toml"
    with suppress(ManifestError):
        assert bounded(num_listed, path, tmp_path) == 999_000


@pytest.mark.parametrize("name", ["x" * 5000, "x" * 5000 + ".toml", "a/" + "x" * 300, "a\0b/c"])
def test_names_that_no_disk_can_have(tmp_path: Path, name: str) -> None:
    with pytest.raises(ManifestError) as caught:
        load_manifest(name)
    assert len(str(caught.value)) < 2000
    path = write_dataset(tmp_path, "table") / "m.toml"
    with pytest.raises(DataRootError, match="got no folder"):
        load_dataset(path, tmp_path / name)
