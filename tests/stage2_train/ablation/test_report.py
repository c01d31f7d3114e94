"""The paper's table beside what was measured."""

import json
from pathlib import Path

import pytest

from shared.errors import CheckpointError
from stage2_train.ablation.plan import AblationRun
from stage2_train.ablation.report import ORDERINGS, ablation_report, markdown_table, report_text
from stage2_train.ablation.report_files import plot_report
from stage2_train.ablation.rows import table_rows
from stage2_train.recipe import load_recipe
from stage2_train.runs.run_folder import append_jsonl
from stage2_train.systems import find_system

HEADS = {"orn": "two_heads", "activity-head": "activity_head", "clique-1": "two_heads"}
TOP1 = {
    "orn": (0.70, 0.72, 0.71),
    "activity-head": (0.60, 0.61, 0.62),
    "clique-1": (0.70, 0.5, 0.9),
}


def _runs(folder: Path) -> list[AblationRun]:
    runs = []
    for system, values in TOP1.items():
        for seed, value in enumerate(values):
            row = table_rows("2", (system,), load_recipe("demo", num_activities=12))[0]
            run = AblationRun(row=row, seed=seed, folder=folder / system / str(seed))
            run.folder.mkdir(parents=True)
            content = {
                "dataset": "demo",
                "metric": "top1",
                "num_segments": 100,
                "chance": 0.25,
                HEADS[system]: {"top1": value},
            }
            (run.folder / "eval-test.json").write_text(json.dumps(content))
            runs.append(run)
    return runs


def test_means_and_orderings(tmp_path) -> None:
    report = ablation_report(_runs(tmp_path), split="test")
    orn = report["systems"][0]
    assert (orn["system"], orn["num_seeds"]) == ("orn", 3)
    assert orn["mean"] == pytest.approx(71)
    assert orn["paper"] == {"epic": "40.89", "vlog": "37.49", "something": "32.12"}
    verdicts = {(row["better"], row["worse"]): row["verdict"] for row in report["orderings"]}
    assert verdicts == {("orn", "activity-head"): "holds", ("orn", "clique-1"): "not decided"}
    text = report_text(report)
    assert "demo, test: top1 in percent on 100 segments, chance 25.0" in text
    assert "71.0 +- 2.5" in text
    assert "| orn | activity-head | 10.0 +- 2.5 | holds |" in markdown_table(report)


def test_cost_is_the_median_of_what_the_runs_logged(tmp_path) -> None:
    runs = _runs(tmp_path)
    for run in runs[:2]:  # of orn
        for step, rate in ((10, 5.0 + run.seed), (20, 7.0 + run.seed)):
            row = {"group": "train", "step": step, "clips_per_second": rate}
            append_jsonl(run.folder / "metrics.jsonl", row)
        append_jsonl(run.folder / "metrics.jsonl", {"group": "validation", "step": 30})
    report = ablation_report(runs, split="test")
    orn, other = report["systems"][:2]
    assert (orn["steps"], orn["clips_per_second"]) == (20, 6.5)
    assert (other["steps"], other["clips_per_second"]) == (None, None)
    assert "| 71.0 +- 2.5 | 3 | 6 |" in markdown_table(report)


def test_the_picture_of_a_report_is_the_same_each_time(tmp_path) -> None:
    report = ablation_report(_runs(tmp_path), split="test")
    for name in ("a.png", "b.png"):
        plot_report(report, tmp_path / name)
    content = (tmp_path / "a.png").read_bytes()
    assert content.startswith(b"\x89PNG")
    assert (tmp_path / "b.png").read_bytes() == content
    del report["systems"][0]
    plot_report(report, tmp_path / "b.png")
    assert (tmp_path / "b.png").read_bytes() != content


def test_a_reversed_ordering_is_said(tmp_path) -> None:
    runs = _runs(tmp_path)
    for run in runs:
        if run.row.name == "activity-head":
            path = run.folder / "eval-test.json"
            path.write_text(path.read_text().replace("0.6", "0.9"))
    rows = ablation_report(runs, split="test")["orderings"]
    assert rows[0]["verdict"] == "does not hold"
    assert rows[0]["mean"] < 0


def test_a_run_that_is_not_measured_is_named(tmp_path) -> None:
    runs = _runs(tmp_path)
    (runs[4].folder / "eval-test.json").unlink()
    with pytest.raises(CheckpointError, match=r"activity-head, seed 1: wanted .*eval-test\.json"):
        ablation_report(runs, split="test")


def test_orderings_are_those_of_the_paper() -> None:
    def figures(name: str) -> dict[tuple[int, str], float]:
        return {(f.table, f.dataset): float(f.printed) for f in find_system(name).figures}

    for better, worse in ORDERINGS:
        ours, theirs = figures(better), figures(worse)
        common = ours.keys() & theirs.keys()
        assert common, (better, worse)
        assert all(ours[key] > theirs[key] for key in common), (better, worse)


def test_the_paper_compares_systems_of_one_backbone(tmp_path) -> None:
    recipe = load_recipe("demo", num_activities=12)
    rows = {row.name: row for row in table_rows("baselines", (), recipe)}
    assert rows["orn"].paper == {"vlog": "44.7", "something": "35.97", "epic": "40.89"}
    assert rows["i3d"].paper == {"vlog": "39.7", "something": "27.63"}
    runs = []
    for name in ("orn", "r18", "r50", "i3d"):
        folder = tmp_path / name
        folder.mkdir()
        head = "two_heads" if name == "orn" else "activity_head"
        content = {"dataset": "demo", "metric": "top1", "num_segments": 9, "chance": 0.1}
        (folder / "eval-test.json").write_text(json.dumps(content | {head: {"top1": 0.5}}))
        runs.append(AblationRun(row=rows[name], seed=0, folder=folder))
    pairs = [(r["better"], r["worse"]) for r in ablation_report(runs, split="test")["orderings"]]
    assert pairs == [("orn", "r18"), ("orn", "i3d")]
