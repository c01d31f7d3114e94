"""The paper's table beside what was measured: contrasts, verdicts, tables, pictures."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from orn.shared.errors import ConfigError
from orn.stage2_train.ablation.pictures import plot_report
from orn.stage2_train.ablation.report import ORDERINGS, ablation_report
from orn.stage2_train.ablation.report_text import as_report
from orn.stage2_train.ablation.results import RunResult
from orn.stage2_train.ablation.rows import table_rows
from orn.stage2_train.evaluation.predictions import Predictions, save_predictions
from orn.stage2_train.evaluation.statistics import welch
from orn.stage2_train.recipe import load_recipe
from orn.stage2_train.systems import find_system
from tests.stage2_train.ablation.made_results import made_results

PERCENTS = {
    "orn": (70.0, 72.0, 71.0),
    "activity-head": (60.0, 61.0, 62.0),
    "clique-1": (70.0, 50.0, 90.0),
}


def _verdicts(report) -> dict[tuple[str, str], str]:
    return {(row["better"], row["worse"]): row["verdict"] for row in report["orderings"]}


def test_means_and_contrasts() -> None:
    rows = {row.name: row for row in table_rows("2", (), load_recipe("demo", num_activities=12))}
    report = ablation_report(made_results(PERCENTS), rows=rows)
    orn = report["systems"][0]
    assert (orn["system"], orn["num_seeds"], orn["mean"]) == ("orn", 3, pytest.approx(71))
    assert orn["paper"] == {"epic": "40.89", "vlog": "37.49", "something": "32.12"}
    assert _verdicts(report) == {
        ("orn", "activity-head"): "holds",
        ("orn", "clique-1"): "not decided",
    }
    assert "71.0 +- 2.5" in as_report(report).text()
    # Welch: two variances of 1/3, four degrees of freedom, t = 2.776445
    assert report["orderings"][0]["half_width"] == pytest.approx(2.776445 * (2 / 3) ** 0.5)
    assert "| orn | activity-head | 10.0 +- 2.3 | <0.001 | holds |" in as_report(report).markdown()
    # Heads that were trained apart are of no other backbone.
    results = made_results({"orn": (70.0,), "late-fusion": (60.0,)})
    assert ("orn", "late-fusion") in _verdicts(ablation_report(results, rows=rows))


@pytest.mark.parametrize(
    ("percents", "verdict"),
    [
        (PERCENTS | {"activity-head": (90.0, 91.0, 92.0)}, "does not hold"),
        ({"orn": (90.0,), "activity-head": (10.0,)}, "not decided"),  # one seed decides nothing
    ],
)
def test_verdicts(percents, verdict) -> None:
    report = ablation_report(made_results(percents))
    assert _verdicts(report)["orn", "activity-head"] == verdict


def test_primary_contrasts_come_first_and_are_corrected_for_their_number() -> None:
    percents = {"orn": (70.5, 71.5, 72.5), "object-head": (65.0, 67.0, 69.0)}
    alone = {"activity-head": (67.5, 68.5, 69.5)}
    plain = welch(percents["orn"], percents["object-head"]).p_value
    assert plain is not None and 0.025 < plain < 0.05
    pair = ("orn", "object-head")
    report = ablation_report(made_results(percents), primary=[pair])
    (row,) = report["orderings"]
    assert (row["kind"], row["verdict"], row["p_value"]) == ("primary", "holds", plain)
    both = ablation_report(
        made_results(percents | alone), primary=[pair, ("object-head", "activity-head")]
    )
    assert [row["kind"] for row in both["orderings"][:2]] == ["primary", "primary"]
    assert {row["kind"] for row in both["orderings"][2:]} == {"exploratory"}
    assert both["orderings"][0]["p_value"] == pytest.approx(2 * plain)
    assert both["orderings"][0]["verdict"] == "not decided"


def test_a_primary_contrast_of_what_is_not_there_is_refused() -> None:
    with pytest.raises(ConfigError, match="--primary orn:orm"):
        ablation_report(made_results(PERCENTS), primary=[("orn", "orm")])


@pytest.mark.parametrize(
    ("percents", "figures", "why"),
    [
        ((9.0, 9.0, 6.0), {}, "not above the floor"),  # a mean of 8, chance is 8
        ((9.0, 9.0, 7.0), {}, None),
        ((30.0, 30.0, 30.0), {"floor": 0.30}, "not above the floor"),
        ((30.0, 30.0, 30.3), {"floor": 0.30}, None),
        ((30.0, 30.0, 30.0), {"loss_fall": 0.051}, "loss still falls"),
        ((30.0, 30.0, 30.0), {"loss_fall": 0.05}, None),
        ((30.0, 30.0, 30.0), {"loss_fall": -0.2}, None),
    ],
)
def test_a_side_has_learned_above_the_floor_with_a_loss_at_rest(percents, figures, why) -> None:
    results = [
        *made_results({"orn": (70.0, 72.0, 71.0)}),
        *made_results({"activity-head": percents}, **figures),
    ]
    report = ablation_report(results)
    assert [row["why_not_learned"] for row in report["systems"]] == [None, why]
    (row,) = report["orderings"]
    assert row["not_learned"] == (["activity-head"] if why else [])
    assert row["verdict"] == ("one side has not learned" if why else "holds")


def test_arms_are_compared_inside_and_with_the_first() -> None:
    results = [
        *made_results(PERCENTS, setting="arm", value="plain"),
        *made_results({"orn": (80.0, 81.0, 82.0)}, setting="arm", value="he"),
    ]
    report = ablation_report(results, primary=[("orn@he", "activity-head@plain")])
    assert report["values"] == ["plain", "he"]
    names = ("kind", "value", "better", "worse")
    found = [tuple(row[name] for name in names) for row in report["orderings"]]
    assert found == [
        ("primary", "", "orn@he", "activity-head@plain"),
        ("exploratory", "plain", "orn", "activity-head"),
        ("exploratory", "plain", "orn", "clique-1"),
        ("exploratory", "", "orn@he", "orn@plain"),
    ]


def test_runs_that_arms_share_are_not_compared_with_themselves() -> None:
    shared = made_results({"activity-head": (60.0, 61.0)}, setting="arm", value="plain")
    report = ablation_report([*shared, *(replace(one, value="he") for one in shared)])
    assert report["orderings"] == []


@pytest.fixture
def kept(tmp_path) -> list[RunResult]:
    """Results of two systems, each with two seeds, and their logits of 40 films."""
    labels_N = np.arange(40) % 2
    results = []
    for result in made_results({"orn": (75.0, 80.0), "activity-head": (50.0, 55.0)}):
        run = tmp_path / result.system / str(result.seed)
        right_N = np.arange(40) < round(0.4 * result.percent())
        logits_NA = np.eye(2)[np.where(right_N, labels_N, 1 - labels_N)].astype(np.float32)
        predictions = Predictions(
            ids=tuple(str(row) for row in range(40)),
            labels=labels_N,
            activity_logits=logits_NA,
            object_logits=None,
        )
        save_predictions(run / "predictions-test.npz", predictions)
        results.append(replace(result, run=str(run)))
    return results


def test_kept_logits_give_an_interval_for_other_films(kept, tmp_path) -> None:
    (row,) = ablation_report(kept)["orderings"]
    # Films give 0.25 of them to the one that the other misses: a deviation of 0.43 / sqrt(40).
    assert row["bootstrap_half_width"] > row["half_width"] > 0
    damaged = tmp_path / "orn" / "0" / "predictions-test.npz"
    damaged.write_bytes(damaged.read_bytes()[:100])
    assert ablation_report(kept)["orderings"][0]["bootstrap_half_width"] is None


def test_the_same_runs_have_the_same_interval_in_each_arm_and_folder(kept, tmp_path) -> None:
    (tmp_path / "moved").mkdir()
    for system in ("orn", "activity-head"):
        shutil.copytree(tmp_path / system, tmp_path / "moved" / system)
    moved = [
        replace(each, run=each.run.replace(str(tmp_path), f"{tmp_path}/moved")) for each in kept
    ]
    arms = [
        replace(each, setting="arm", value=value)
        for value, own in (("plain", kept), ("he", kept), ("moved", moved))
        for each in own
    ]
    contrasts = [row for own in (kept, arms) for row in ablation_report(own)["orderings"]]
    widths = [row["bootstrap_half_width"] for row in contrasts if row["better"] == "orn"]
    assert len(widths) == 1 + 3
    assert len(set(widths)) == 1


def test_the_picture_of_a_report_is_the_same_each_time(tmp_path) -> None:
    report = ablation_report(made_results(PERCENTS))
    two = made_results(PERCENTS, setting="frames", value="2", seconds=10.0)
    four = made_results(PERCENTS, setting="frames", value="4", seconds=20.0)
    curves = ablation_report([*two, *four])
    pictures = set()
    for each, over_seconds in ((report, False), (curves, False), (curves, True)):
        for name in ("a.png", "b.png"):
            plot_report(each, tmp_path / name, over_seconds=over_seconds)
        content = (tmp_path / "a.png").read_bytes()
        assert content.startswith(b"\x89PNG")
        assert (tmp_path / "b.png").read_bytes() == content
        pictures.add(content)
    assert len(pictures) == 3


def test_orderings_are_those_of_the_paper() -> None:
    def figures(name: str) -> dict[tuple[int, str], float]:
        return {(f.table, f.dataset): float(f.printed) for f in find_system(name).figures}

    assert ("orn", "object-head") in ORDERINGS
    for better, worse in ORDERINGS:
        ours, theirs = figures(better), figures(worse)
        common = ours.keys() & theirs.keys()
        assert common, (better, worse)
        assert all(ours[key] > theirs[key] for key in common), (better, worse)


def test_the_paper_compares_systems_of_one_backbone() -> None:
    recipe = load_recipe("demo", num_activities=12)
    rows = {row.name: row for row in table_rows("baselines", (), recipe)}
    assert rows["orn"].paper == {"vlog": "44.7", "something": "35.97", "epic": "40.89"}
    assert rows["i3d"].paper == {"vlog": "39.7", "something": "27.63"}
    names = ("orn", "r18", "r50", "i3d")
    report = ablation_report(made_results(dict.fromkeys(names, (50.0,))), rows=rows)
    assert list(_verdicts(report)) == [("orn", "r18"), ("orn", "i3d")]
