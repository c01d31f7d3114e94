"""The notebook runs as it stands, and its output was really run."""

import json
import re
from typing import Any

import pytest

from tests.conftest import ROOT

TOUR = ROOT / "examples" / "tour.ipynb"
MOST_BYTES = 400_000
FOLDERS_OF_A_MACHINE = re.compile(r"(?<![\w.])/(home|root|tmp|work|usr|opt|mnt|Users)/|[A-Z]:\\\\")


def code_cells() -> list[dict[str, Any]]:
    cells = json.loads(TOUR.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]


def test_what_is_committed_was_executed() -> None:
    cells = code_cells()
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell["outputs"]]
    assert {output.get("name", "stdout") for output in outputs} == {"stdout"}
    assert sum("image/jpeg" in output.get("data", {}) for output in outputs) == 2
    assert TOUR.stat().st_size < MOST_BYTES
    assert not FOLDERS_OF_A_MACHINE.search(TOUR.read_text(encoding="utf-8"))


@pytest.mark.mmdet
def test_every_cell_runs(small_demo, capsys) -> None:
    pytest.importorskip("IPython")
    names: dict[str, Any] = {}
    for number, cell in enumerate(code_cells(), start=1):
        exec(compile("".join(cell["source"]), f"{TOUR.name}, cell {number}", "exec"), names)
    output = capsys.readouterr().out
    assert "frames looked at: (" in output
    assert "the logit drops by" in output
