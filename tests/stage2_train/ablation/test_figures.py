"""What runs reached: read from their folders, and kept as CSV."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orn.shared.errors import CheckpointError, ConfigError
from orn.stage2_train.ablation.figures import (
    late_fusion_results,
    loss_figures,
    read_run,
    write_csv,
)
from orn.stage2_train.ablation.plan import AblationRow, AblationRun
from orn.stage2_train.ablation.report import ablation_report, as_report
from orn.stage2_train.evaluation.predictions import (
    Predictions,
    load_predictions,
    save_predictions,
)
from orn.stage2_train.runs.run_folder import append_jsonl
from tests.stage2_train.ablation.made_results import EVALUATION, made_results

MEASURED = EVALUATION | {"two_heads": {"top1": 0.7}, "object_head": {"top1": 0.6}}


def run_in(folder: Path, measured: object = MEASURED) -> AblationRun:
    """A run with this measurement."""
    folder.mkdir(exist_ok=True)
    (folder / "eval-test.json").write_text(json.dumps(measured))
    row = AblationRow(name="orn", title="", system="orn", backbone="resnet18")
    return AblationRun(row=row, seed=3, folder=folder)


@pytest.fixture
def run(tmp_path: Path) -> AblationRun:
    return run_in(tmp_path)


def test_a_run_is_read_with_what_it_took(run) -> None:
    for step in range(1, 31):
        phase, loss = ("object_head", 2.0) if step <= 10 else ("two_heads", 3.0 - step / 10)
        line = {"group": "train", "step": step, "phase": phase, "activity_loss": loss}
        append_jsonl(
            run.folder / "metrics.jsonl", line | {"seconds": 2.0, "clips_per_second": 4.0 + step}
        )
    append_jsonl(run.folder / "metrics.jsonl", {"group": "validation", "step": 30})
    for threads in (1, 2, 1):
        append_jsonl(run.folder / "starts.jsonl", {"commit": "abc", "threads": threads})
    result = read_run(run, split="test", floor=30.0)
    assert (result.system, result.seed, result.commit, result.threads) == ("orn", 3, "abc", "1 2")
    assert tuple(result.heads) == ("two_heads", "object_head")
    assert (result.percent(), result.percent("object_head")) == (70.0, 60.0)
    assert "60.0" in as_report(ablation_report([result])).text()
    assert result.whole == {
        "chance": 0.5,
        "num_segments": 4.0,
        "floor": 0.3,
        "steps": 30.0,
        "seconds": 60.0,
        "clips_per_second": 19.5,
        # Steps 29 and 30, less than 27 and 28 by 0.2, a tenth of what the run began with.
        "last_loss": pytest.approx(0.05),
        "loss_fall": pytest.approx(0.1),
    }


def test_a_log_of_a_few_lines_says_nothing_of_losses() -> None:
    lines = [{"phase": "two_heads", "activity_loss": 1.0 / n} for n in range(1, 10)]
    for few in (lines, [], [*lines, {"phase": "two_heads", "activity_loss": None}]):
        assert loss_figures(few) == {}


def test_a_measurement_that_is_missing_or_damaged_is_named(run) -> None:
    with pytest.raises(CheckpointError, match=r"eval-validation\.json"):
        read_run(run, split="validation", floor=None)
    run_in(run.folder, MEASURED | {"two_heads": {"top5": 1.0}})
    with pytest.raises(CheckpointError, match=r"eval-test\.json: .*`orn eval`.*top1"):
        read_run(run, split="test", floor=None)


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=5,
)
LINE = {"group": "train", "step": 5, "clips_per_second": 2.0, "seconds": 1.0, "loss": 1.0}


@given(key=st.sampled_from([*LINE, "phase", "activity_loss"]), value=ANY)
def test_any_line_of_a_log_is_read(tmp_path_factory, key, value) -> None:
    run = run_in(tmp_path_factory.getbasetemp() / "logged")
    lines = [json.dumps(LINE) for _ in range(20)] + [json.dumps(LINE | {key: value})] * 3
    (run.folder / "metrics.jsonl").write_text("\n".join(lines))
    (run.folder / "starts.jsonl").write_text(json.dumps({"commit": value, "threads": value}))
    as_report(ablation_report([read_run(run, split="test", floor=None)]))


def test_the_csv_has_a_line_for_each_figure(tmp_path) -> None:
    (result,) = made_results({"orn": (70.1,)}, seconds=0.1 + 0.2)
    result = replace(result, setting="=1+1", value="-1e-3", runs=("a", "b"))
    write_csv([result], tmp_path / "one.csv")
    with (tmp_path / "one.csv").open(newline="") as file:
        rows = {(row["head"], row["metric"]): row for row in csv.DictReader(file)}
    assert rows["two_heads", "top1"]["result"] == repr(70.1 / 100)
    assert float(rows["", "seconds"]["result"]) == 0.1 + 0.2
    row = rows["", "chance"]
    assert (row["run"], row["system"], row["seed"]) == ("a + b", "orn", "0")
    assert (row["setting"], row["value"]) == ("'=1+1", "-1e-3")  # no formula for a spreadsheet


def test_heads_that_were_trained_apart_are_measured_together(tmp_path) -> None:
    labels_N = np.array([0, 1, 1, 0])
    logits = {  # each right on two films, together on three
        "activity-head": [[3, 0], [1, 0], [0, 3], [0, 1]],
        "object-head": [[0, 1], [0, 3], [2, 0], [0, 1]],
    }
    results = []
    for result in made_results(dict.fromkeys(logits, (50.0,)), seconds=7.0, loss_fall=0.01):
        head = result.system.replace("-", "_")
        runs = (str(tmp_path / result.system),)
        one = replace(result, runs=runs, heads={head: {"top1": 0.5}})
        own = np.array(logits[one.system], np.float32)
        predictions = Predictions(
            ids=("a", "b", "c", "d"),
            labels=labels_N,
            activity_logits=own if one.system == "activity-head" else None,
            object_logits=own if one.system == "object-head" else None,
        )
        save_predictions(tmp_path / one.system / "predictions-test.npz", predictions)
        results.append(one)
    (both,) = late_fusion_results(results)
    assert (both.system, both.percent(), both.whole["seconds"]) == ("late-fusion", 75.0, 14.0)
    assert both.percent("object_head") == 50.0
    assert both.whole["loss_fall"] == 0.01
    missing = tmp_path / "object-head" / "predictions-test.npz"
    kept = load_predictions(missing)
    save_predictions(missing, replace(kept, ids=("d", *kept.ids[1:-1], "a")))
    with pytest.raises(
        ConfigError, match=r"object-head: the runs were evaluated on different segments"
    ):
        late_fusion_results(results)
    missing.unlink()
    with pytest.raises(CheckpointError, match=str(missing)):
        late_fusion_results(results)
