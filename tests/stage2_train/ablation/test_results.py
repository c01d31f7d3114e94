"""What runs reached: read from their folders, kept as CSV, read again."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orn.shared.errors import CheckpointError, ConfigError, PipelineError
from orn.stage2_train.ablation.plan import AblationRun
from orn.stage2_train.ablation.report import ablation_report
from orn.stage2_train.ablation.report_text import as_report
from orn.stage2_train.ablation.results import read_csv, write_csv
from orn.stage2_train.ablation.rows import AblationRow
from orn.stage2_train.ablation.run_figures import late_fusion_results, loss_figures, read_run
from orn.stage2_train.evaluation.predictions import Predictions, save_predictions
from orn.stage2_train.runs.run_folder import append_jsonl
from tests.stage2_train.ablation.made_results import made_results

MEASURED = {
    "dataset": "demo",
    "metric": "top1",
    "num_segments": 100,
    "chance": 0.25,
    "two_heads": {"top1": 0.7},
    "object_head": {"top1": 0.6},
}


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
    assert result.heads == ("two_heads", "object_head")
    assert (result.percent(), result.percent("object_head")) == (70.0, 60.0)
    assert "60.0" in as_report(ablation_report([result])).text()
    whole = {name: value for (head, name), value in result.figures.items() if not head}
    assert whole == {
        "chance": 0.25,
        "num_segments": 100.0,
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


def test_a_run_that_is_not_measured_is_named(run) -> None:
    with pytest.raises(CheckpointError, match=r"orn, seed 3: .*eval-validation\.json"):
        read_run(run, split="validation", floor=None)


@pytest.mark.parametrize(
    "changed",
    [{"two_heads": 1}, {"two_heads": {"top5": 1}}, {"two_heads": {"top1": float("inf")}},
     {"two_heads": {"top1": None}}, {"chance": "low"}, {"chance": float("nan")},
     {"chance": 10**400}],
)  # fmt: skip
def test_a_measurement_that_is_none_is_named(tmp_path, changed) -> None:
    with pytest.raises(CheckpointError, match=r"eval-test\.json: .*`orn eval`"):
        read_run(run_in(tmp_path, MEASURED | changed), split="test", floor=None)


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=5,
)
ONE_HEAD = {name: value for name, value in MEASURED.items() if name != "object_head"}
LINE = {"group": "train", "step": 5, "clips_per_second": 2.0, "seconds": 1.0, "loss": 1.0}


@given(key=st.sampled_from([*ONE_HEAD, "activity_head", "x", ""]), value=ANY)
def test_any_measurement_is_reported_or_refused(tmp_path_factory, key, value) -> None:
    run = run_in(tmp_path_factory.getbasetemp() / "run", ONE_HEAD | {key: value} if key else value)
    try:
        report = ablation_report([read_run(run, split="test", floor=None)])
    except PipelineError:
        return
    as_report(report)
    json.dumps(report, allow_nan=False)


@given(key=st.sampled_from([*LINE, "phase", "activity_loss"]), value=ANY)
def test_any_line_of_a_log_is_read(tmp_path_factory, key, value) -> None:
    run = run_in(tmp_path_factory.getbasetemp() / "logged", ONE_HEAD)
    lines = [json.dumps(LINE) for _ in range(20)] + [json.dumps(LINE | {key: value})] * 3
    (run.folder / "metrics.jsonl").write_text("\n".join(lines))
    (run.folder / "starts.jsonl").write_text(json.dumps({"commit": value, "threads": value}))
    as_report(ablation_report([read_run(run, split="test", floor=None)]))


def test_logs_with_other_things_than_numbers(run) -> None:
    odd = ({"step": "9"}, {"step": 10**400}, {"clips_per_second": "x"}, {"seconds": float("nan")},
           {"clips_per_second": float("inf")}, {"loss": [1]}, {"group": ["train"]})  # fmt: skip
    lines = [f"{json.dumps(LINE | change)}\n" for change in odd]
    (run.folder / "metrics.jsonl").write_text("".join(lines))
    figures = read_run(run, split="test", floor=None).figures
    wanted = {"steps": 5.0, "clips_per_second": 2.0, "seconds": 5.0}
    assert {name: figures["", name] for name in wanted} == wanted


def test_names_that_spreadsheets_run_are_the_same_after_the_csv(tmp_path) -> None:
    (result,) = made_results({"orn": (70.1,)})
    result = replace(result, setting="=1+1", value="-1e-3", run="'@a")
    write_csv([result], tmp_path / "one.csv")
    assert "'=1+1,-1e-3," in (tmp_path / "one.csv").read_text()
    assert read_csv(tmp_path / "one.csv") == [result]


def test_results_are_the_same_after_the_csv(tmp_path) -> None:
    results = [
        *made_results({"orn": (70.1, 1 / 3)}, seconds=0.1 + 0.2),
        *made_results({"r18": (5.0,)}),
    ]
    write_csv(results, tmp_path / "one.csv")
    assert read_csv(tmp_path / "one.csv") == results


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda lines: [], ""),
        (lambda lines: lines[:1], ""),
        (lambda lines: ["a,b", *lines[1:]], "dataset,split"),
        (lambda lines: [*lines, lines[1]], "orn, seed 0, top1"),
        (lambda lines: [*lines, lines[1].replace("0.7", "nan")], "result: "),
        (lambda lines: [*lines, lines[1].replace(",0,", ",-1,")], "seed: "),
        (lambda lines: [*lines, "a,b"], ""),
        (lambda lines: [lines[0], *lines[2:]], "orn, seed 0"),
        (lambda lines: [*lines, '"'], ""),
    ],
)
def test_a_file_that_is_none_is_refused(tmp_path, damage, said) -> None:
    path = tmp_path / "one.csv"
    write_csv(made_results({"orn": (70.0,)}), path)
    path.write_text("\n".join(damage(path.read_text().splitlines())) + "\n")
    with pytest.raises(ConfigError, match=f"one.csv: .*`orn ablate`.*{said}"):
        read_csv(path)


def test_heads_that_were_trained_apart_are_measured_together(tmp_path) -> None:
    labels_N = np.array([0, 1, 1, 0])
    logits = {  # each right on two films, together on three
        "activity-head": [[3, 0], [1, 0], [0, 3], [0, 1]],
        "object-head": [[0, 1], [0, 3], [2, 0], [0, 1]],
    }
    results = []
    for result in made_results(dict.fromkeys(logits, (50.0,)), seconds=7.0, loss_fall=0.01):
        one = replace(result, run=str(tmp_path / result.system))
        own = np.array(logits[one.system], np.float32)
        predictions = Predictions(
            ids=("a", "b", "c", "d"),
            labels=labels_N,
            activity_logits=own if one.system == "activity-head" else None,
            object_logits=own if one.system == "object-head" else None,
        )
        save_predictions(Path(one.run) / "predictions-test.npz", predictions)
        results.append(one)
    (both,) = late_fusion_results(results)
    assert (both.system, both.percent(), both.figures["", "seconds"]) == ("late-fusion", 75.0, 14.0)
    assert both.tallies() is not None
    (Path(results[0].run) / "predictions-test.npz").unlink()
    assert late_fusion_results(results) == []


def test_pairs_that_annotators_were_unsure_of_are_left_out_again(tmp_path) -> None:
    (one,) = made_results({"orn": (0.0,)})
    one = replace(one, run=str(tmp_path), figures={("activity_head", "map"): 1.0})
    predictions = Predictions(
        ids=("a", "b", "c"),
        labels=np.array([[1, 0], [0, 1], [1, 0]], np.float32),
        activity_logits=np.array([[3, 0], [2, 5], [1, 0]], np.float32),
        object_logits=None,
        unsure=np.array([[False, False], [True, False], [False, False]]),
    )
    save_predictions(tmp_path / "predictions-test.npz", predictions)
    assert one.tallies() is not None
