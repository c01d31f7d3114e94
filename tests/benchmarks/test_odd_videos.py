"""The table of odd videos in the docs is what the benchmark measures."""

from pathlib import Path

import pytest

from orn.benchmarks.odd_videos import FILES, table
from tests.conftest import ROOT

pytestmark = pytest.mark.real_data


@pytest.mark.slow
def test_the_table_of_odd_videos_in_the_docs_is_what_is_measured(sample_data: Path) -> None:
    document = (ROOT / "docs" / "odd_videos.md").read_text().splitlines()
    rows = table(sample_data / "clips")
    written = [line for line in document if line.startswith("|")]
    assert len(written) == len(rows) == 2 + len(FILES)
    for found, wanted in zip(rows[2:], written[2:], strict=True):
        for column in (1, -2):  # the file, and what ours does
            assert found.split("|")[column] == wanted.split("|")[column]
    if written[0] == rows[0]:  # the same versions of the other readers
        assert written == rows


def test_every_odd_file_is_in_the_table(sample_data: Path) -> None:
    there = {f"odd/{path.name}" for path in (sample_data / "clips" / "odd").iterdir()}
    assert there <= FILES.keys()
