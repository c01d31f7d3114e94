"""The reader of label tables: ways to write them, and what is said of those that cannot be used."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from orn.data_manifests.text_files import MOST_ROWS, each_row, read_class_names, read_rows
from orn.shared.errors import ManifestError


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    name: str
    size: float
    group: str = "none"


def read(folder: Path, text: str | bytes) -> list[Row]:
    path = folder / "t.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return list(read_rows(path, "a table", Row, columns={"size": "in cm"}).values())


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("\ufeffname,in cm\r\na,1.5\r\n", id="spreadsheet: BOM and CRLF"),
        pytest.param('in cm,name\n"1.5","a"', id="other order, quotes, no end of line"),
        pytest.param(" name , in cm \n a , 1.5 \n\n", id="spaces and an empty line"),
        pytest.param('name;in cm\na;"1.5"\n', id="semicolons"),
        pytest.param("name,in cm\ra,1.5\r", id="CR"),
        pytest.param("Name,notes,In CM,,\na,,1.5,,\n,,,,\n", id="other case, more and no columns"),
        pytest.param("name,in cm\na,1.5,,\n", id="more cells, without content"),
    ],
)
def test_ways_to_write_csv(tmp_path: Path, text: str) -> None:
    assert read(tmp_path, text) == [Row(name="a", size=1.5)]


def test_class_names(tmp_path: Path) -> None:
    path = tmp_path / "c.txt"
    path.write_text(" open\r\nclose it\n\n")
    assert read_class_names(path) == {"open": 0, "close it": 1}
    path.write_text("open\nopen")
    with pytest.raises(ManifestError, match=r"c\.txt, row 2: .*twice"):
        read_class_names(path)


def test_rows_are_bounded(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=f"at most {MOST_ROWS:,} rows"):
        each_row(tmp_path, enumerate(range(MOST_ROWS + 1)), str)
