"""What runs reached: read from their folders."""

from pathlib import Path

import pytest

from orn.stage2_train.compare.ablation_summary import ablation_summary, as_summary
from orn.stage2_train.compare.run_results import read_results
from orn.stage2_train.runs.run_folder import append_jsonl
from tests.stage2_train.compare.made_results import EVALUATION
from tests.worlds.evaluations import write_values

MEASURED = EVALUATION | {"two_heads": {"top1": 0.7}, "object_head": {"top1": 0.6}}


def run_in(out: Path, place: str = "orn/seed3", measured: dict = MEASURED) -> Path:
    """A run with this measurement."""
    folder = out / place
    folder.mkdir(parents=True, exist_ok=True)
    write_values(folder / "eval-test.json", measured)
    return folder


def test_all_runs_of_a_folder_are_read(tmp_path: Path) -> None:
    places = ("orn/a.b=1,c=[2]/seed10", "orn/a.b=1,c=[2]/seed9", "activity-head/seed0")
    for place in (*places, "mine/seed0", "orn/one/two/seed0", "orn/seedling"):
        run_in(tmp_path, place)
    results = [
        (result["system"], result["settings"], result["seed"])
        for result in read_results(tmp_path, "test")
    ]
    assert results == [
        ("activity-head", "", 0), ("orn", "a.b=1,c=[2]", 9), ("orn", "a.b=1,c=[2]", 10)
    ]  # fmt: skip
    assert read_results(tmp_path, "validation") == []


def test_a_run_is_read_with_what_it_took(tmp_path: Path) -> None:
    run = run_in(tmp_path)
    for step in range(1, 31):
        phase, loss = ("object_head", 2.0) if step <= 10 else ("two_heads", 3.0 - step / 10)
        line = {"group": "train", "step": step, "phase": phase, "activity_loss": loss}
        append_jsonl(run / "metrics.jsonl", line | {"seconds": 2.0, "clips_per_second": 4.0 + step})
    append_jsonl(run / "metrics.jsonl", {"group": "validation", "step": 30})
    for threads in (1, 2, 1):
        append_jsonl(run / "starts.jsonl", {"commit": "abc", "threads": threads})
    (result,) = read_results(tmp_path, "test")
    known = {"system": "orn", "seed": 3, "commit": "abc", "threads": "1 2"}
    assert result | known == result
    text = as_summary(ablation_summary([result])).text()
    assert "70.0" in text and "60.0" in text
    assert result["whole"] == {
        "chance": 0.5,
        "num_segments": 4.0,
        "steps": 30.0,
        "seconds": 60.0,
        "clips_per_second": 19.5,
        # Steps 29 and 30, less than 27 and 28 by 0.2, a tenth of what the run began with.
        "last_loss": pytest.approx(0.05),
        "loss_fall": pytest.approx(0.1),
    }
