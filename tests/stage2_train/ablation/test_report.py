"""The paper's table beside what was measured: contrasts, verdicts, curves, pictures."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from orn.shared.errors import ConfigError
from orn.stage2_train.ablation.pictures import plot_report
from orn.stage2_train.ablation.plan import table_rows
from orn.stage2_train.ablation.report import (
    ORDERINGS,
    ablation_report,
    as_report,
    joined_report,
    write_report,
)
from orn.stage2_train.evaluation.statistics import paired
from orn.stage2_train.recipe import load_recipe
from orn.stage2_train.systems import find_system
from tests.stage2_train.ablation.made_results import made_results

PERCENTS = {
    "orn": (70.0, 72.0, 71.0),
    "activity-head": (60.0, 61.0, 62.0),
    "clique-1": (70.0, 50.0, 90.0),
}


def _verdicts(report) -> dict[tuple[str, str], str]:
    return {(row["better"], row["worse"]): row["verdict"] for row in report["contrasts"]}


def test_means_and_contrasts() -> None:
    rows = {row.name: row for row in table_rows("2", (), load_recipe("demo", num_activities=12))}
    report = ablation_report(made_results(PERCENTS), rows=rows)
    orn = report["systems"][0]
    assert (orn["system"], orn["num_seeds"], orn["mean"]) == ("orn", 3, pytest.approx(71))
    assert orn["percent_by_seed"] == {"0": 70.0, "1": 72.0, "2": 71.0}
    assert orn["paper"] == {"epic": "40.89", "vlog": "37.49", "something": "32.12"}
    verdicts = {("orn", "activity-head"): "holds", ("orn", "clique-1"): "not decided"}
    assert _verdicts(report) == verdicts
    assert "71.0 +- 2.5" in as_report(report).text()
    # Differences 10, 11, 9: a deviation of 1, two degrees of freedom, t = 4.302653
    assert report["contrasts"][0]["half_width"] == pytest.approx(4.302653 / 3**0.5)
    assert (
        "| orn | activity-head | 10.0 +- 2.5 | 3 | 0.003 | 0.007 | holds |"
        in as_report(report).markdown()
    )
    # Heads that were trained apart are of no other backbone.
    results = made_results({"orn": (70.0,), "late-fusion": (60.0,)})
    assert ("orn", "late-fusion") in _verdicts(ablation_report(results, rows=rows))


@pytest.mark.parametrize(
    ("percents", "verdict"),
    [
        (PERCENTS | {"activity-head": (90.0, 91.0, 92.0)}, "does not hold"),
        ({"orn": (90.0,), "activity-head": (10.0,)}, "not decided: 1 seed in common"),
    ],
)
def test_verdicts(percents, verdict) -> None:
    report = ablation_report(made_results(percents))
    assert _verdicts(report)["orn", "activity-head"] == verdict


def test_holm_corrects_for_all_comparisons_and_primary_ones_come_first() -> None:
    percents = {"orn": (70.5, 71.5, 72.5), "object-head": (65.0, 68.0, 69.1)}
    plain = paired(*(dict(enumerate(values)) for values in percents.values())).p_value
    assert plain is not None and 0.025 < plain < 0.05
    pair = ("orn", "object-head")
    (row,) = ablation_report(made_results(percents), primary=[pair])["contrasts"]
    assert (row["kind"], row["verdict"]) == ("primary", "holds")
    assert row["p_holm"] == row["p_value"] == pytest.approx(plain)
    more = percents | {"activity-head": (67.5, 68.5, 69.6)}
    primary = [("object-head", "activity-head"), pair]
    found = ablation_report(made_results(more), primary=primary)["contrasts"]
    assert [row["kind"] for row in found] == ["primary", "primary", "exploratory"]
    row = found[1]
    assert (row["p_value"], row["p_holm"]) == pytest.approx((plain, 2 * plain))
    assert row["verdict"] == "not decided"
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
    (row,) = report["contrasts"]
    assert row["not_learned"] == (["activity-head"] if why else [])
    assert row["verdict"] == ("one side has not learned" if why else "holds")


def test_variants_are_compared_inside_and_with_the_first() -> None:
    results = [
        *made_results(PERCENTS, setting="variant", value="plain"),
        *made_results({"orn": (80.0, 81.0, 82.0)}, setting="variant", value="he"),
    ]
    report = ablation_report(results, primary=[("orn@he", "activity-head@plain")])
    assert report["values"] == ["plain", "he"]
    names = ("kind", "value", "better", "worse")
    assert [tuple(row[name] for name in names) for row in report["contrasts"]] == [
        ("primary", "", "orn@he", "activity-head@plain"),
        ("exploratory", "plain", "orn", "activity-head"),
        ("exploratory", "plain", "orn", "clique-1"),
        ("exploratory", "", "orn@he", "orn@plain"),
    ]
    shared = made_results({"activity-head": (60.0, 61.0)}, setting="variant", value="plain")
    report = ablation_report([*shared, *(replace(one, value="he") for one in shared)])
    assert report["contrasts"] == []  # runs are not compared with themselves


@pytest.fixture
def points(tmp_path: Path) -> dict[str, Path]:
    """Reports of two ablations, by a value in which they differ."""
    few = made_results({"orn": (70.0, 71.0), "r18": (60.0, 61.0)}, seconds=10.0)
    percents = {"orn": (40.0, 41.2), "activity-head": (20.0, 20.0)}
    many = made_results(percents, value="many", num_segments=12.0)
    for name, results in (("few", few), ("many", many)):
        write_report(ablation_report(results), tmp_path / name)
    return {"0": tmp_path / "few.json", "3": tmp_path / "many.json"}


def test_a_curve_joins_reports(points, tmp_path) -> None:
    report = joined_report("decoys", points)
    assert (report["varied"], report["values"]) == ("decoys", ["0", "3"])
    text = as_report(report).text()
    assert "12 to 100 segments" in text and "against decoys" in text
    assert "| 3 | orn | 40.6 +- 7.6 | 2 |" in as_report(report).markdown()
    assert [(row["value"], row["better"], row["worse"]) for row in report["contrasts"]] == [
        ("0", "orn", "r18"),
        ("3", "orn", "activity-head"),
        ("", "orn@3", "orn@0"),
    ]
    write_report(report, tmp_path / "curve.v1", over_seconds=True)
    assert json.loads((tmp_path / "curve.v1.json").read_text()) == report
    assert "decoys,3,two_heads,top1,0.412" in (tmp_path / "curve.v1.csv").read_text()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"dataset": "demo"', '"dataset": "vlog"', "dataset 'demo'"),
        ('"split": "test"', '"split": "validation"', "split 'test'"),
        ('"metric": "top1"', '"metric": "map"', r"many\.json: .*map"),
        ('"setting": ""', '"setting": "frames"', r"many\.json: .*frames"),
        ('"results"', '"others"', r"many\.json: .*results"),
        ('"seed": 0', '"seed": -1', r"many\.json: .*seed"),
    ],
)
def test_reports_that_do_not_belong_together_are_refused(points, old, new, said) -> None:
    points["3"].write_text(points["3"].read_text().replace(old, new))
    with pytest.raises(ConfigError, match=said):
        joined_report("decoys", points)


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
