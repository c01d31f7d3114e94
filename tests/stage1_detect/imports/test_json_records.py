"""Elements of JSON files, one at a time: any text that other parsers accept, in pieces."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orn.shared.errors import ObjectImportError
from orn.stage1_detect.imports import json_records

_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**62), 2**62) | st.floats(-1e9, 1e9) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def read(path: Path, text: str) -> list[tuple[str, Any, int]]:
    path.write_text(text, encoding="utf-8-sig")
    return list(json_records.elements_of(path))


@given(content=st.lists(_VALUES) | st.dictionaries(st.text(), _VALUES), chunk=st.integers(1, 9))
def test_elements_are_those_of_the_whole(content, chunk: int, tmp_path_factory) -> None:
    """A file is read in pieces of a few bytes, so that each value is cut somewhere."""
    expected = []
    for key, value in content.items() if isinstance(content, dict) else [("", content)]:
        rows = enumerate(value, start=1) if isinstance(value, list) else [(1, value)]
        expected += [(key, row, number) for number, row in rows]
    path = tmp_path_factory.mktemp("json") / "a.json"
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(json_records, "_CHUNK_BYTES", chunk)
        for options in ({}, {"indent": 1, "ensure_ascii": False}):
            assert read(path, json.dumps(content, **options)) == expected


@pytest.mark.parametrize(
    "text",
    [
        *("", "3", "[1 2]", "[1,]", "{1: 2}", '{"a": [1, 2}', "[1] 2", "[1, 2", "[NaN]"),
        *("[" * 100_000, '[1, "' + "x" * 2**23 + '"]', "[1," + " " * 2**23 + "2]"),
    ],
    ids=lambda text: text[:12],
)
def test_other_text_is_refused_in_one_line(text: str, tmp_path: Path) -> None:
    with pytest.raises(ObjectImportError, match="expected JSON in UTF-8") as refused:
        read(tmp_path / "a.json", text)
    assert str(refused.value).isprintable()
