"""The reader of label tables: ways to write them, and what is said of those that cannot be used."""

import re
from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict

from orn.shared.errors import ManifestError
from orn.shared.manifests.text_files import (
    read_class_names,
    read_rows,
)


class Row(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str
    size: float
    group: str = "none"


def read(folder: Path, text: str | bytes) -> list[Row]:
    path = folder / "t.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_rows(path, "a table", Row, lambda row: row, columns={"size": "in cm"})


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("\ufeffname,in cm\r\na,1.5\r\n", id="spreadsheet: BOM and CRLF"),
        pytest.param('in cm,name\n"1.5","a"', id="other order, quotes, no end of line"),
        pytest.param(" name , in cm \n a , 1.5 \n\n", id="spaces and an empty line"),
        pytest.param('name;in cm\na;"1.5"\n', id="semicolons"),
        pytest.param("name,in cm\ra,1.5\r", id="CR"),
    ],
)
def test_ways_to_write_csv(tmp_path: Path, text: str) -> None:
    assert read(tmp_path, text) == [Row(name="a", size=1.5)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "row 1: expected the columns name, in cm, group, got nothing"),
        ("name,in cm,grope\na,1,x", "row 1: .* group, got .*grope"),
        ("name,in cm\n\na,1,x", "row 3: expected 2 cells, got 3"),
        ("name,in cm\na,large", "row 2: column 'in cm': expected a number, got 'large'"),
        (b"name,in cm\n\xff,1", "expected a table in UTF-8"),
    ],
)
def test_refusals_name_file_row_and_column(tmp_path: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(ManifestError, match=f"^{re.escape(str(tmp_path))}/t.csv[:,].*{message}"):
        read(tmp_path, text)


def test_the_first_rows_are_shown_and_the_rest_counted(tmp_path: Path) -> None:
    with pytest.raises(ManifestError) as caught:
        read(tmp_path, "name,in cm\n" + "a,x\n" * 12)
    assert str(caught.value).count(": column") == 5
    assert "; and 7 more; correct the file" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("open\nopen", "row 2: .*'open' twice"),
        ("open\n\nclose", "row 2: .*got ''"),
        ("open\na\x01", "row 2: .*control characters"),
        ("", "expected class names"),
    ],
)
def test_class_names(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "c.txt"
    path.write_text(" open\r\nclose it\n\n")
    assert read_class_names(path) == ("open", "close it")
    path.write_text(text)
    with pytest.raises(ManifestError, match=rf"c\.txt.*{message}"):
        read_class_names(path)
