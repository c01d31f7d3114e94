"""The table of odd videos in the docs is true."""

from pathlib import Path

import pytest

from orn.benchmarks.odd_videos import FILES, table
from tests.conftest import ROOT

OURS = -2
"""Place of our column in a row that is split at its bars."""


@pytest.mark.slow
@pytest.mark.real_data
def test_the_table_in_the_docs_is_what_is_measured(sample_data: Path) -> None:
    document = (ROOT / "docs" / "odd_videos.md").read_text().splitlines()
    rows = table(sample_data / "clips")
    written = [line for line in document if line.startswith("|")]
    assert len(written) == len(rows) == 2 + len(FILES)
    for found, wanted in zip(rows[2:], written[2:], strict=True):
        assert found.split("|")[1] == wanted.split("|")[1]
        assert found.split("|")[OURS] == wanted.split("|")[OURS]
    if written[0] == rows[0]:  # the same versions of the other readers
        assert written == rows


@pytest.mark.real_data
def test_every_odd_file_is_in_the_table(sample_data: Path) -> None:
    there = {f"odd/{path.name}" for path in (sample_data / "clips" / "odd").iterdir()}
    assert there <= FILES.keys()
