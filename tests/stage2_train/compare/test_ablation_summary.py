"""The paper's table beside what was measured: contrasts and verdicts."""

import pytest

from orn.stage2_train.compare.ablation_summary import ablation_summary, as_summary
from orn.stage2_train.evaluation.over_seeds import paired
from tests.stage2_train.compare.made_results import made_results

PERCENTS = {
    "orn": (70.0, 72.0, 71.0),
    "activity-head": (60.0, 61.0, 62.0),
    "clique-1": (70.0, 50.0, 90.0),
}


def _verdicts(report) -> dict[tuple[str, str], str]:
    return {(row["better"], row["worse"]): row["verdict"] for row in report["contrasts"]}


def test_means_and_contrasts() -> None:
    report = ablation_summary(made_results(PERCENTS), table="2")
    orn = report["systems"][0]
    assert (orn["system"], orn["num_seeds"], orn["mean"]) == ("orn", 3, pytest.approx(71))
    assert orn["percent_by_seed"] == {"0": 70.0, "1": 72.0, "2": 71.0}
    assert orn["paper"] == {"epic": "40.89", "vlog": "37.49", "something": "32.12"}
    verdicts = {("orn", "activity-head"): "holds", ("orn", "clique-1"): "not decided"}
    assert _verdicts(report) == verdicts
    assert "71.0 +- 2.5" in as_summary(report).text()
    # Differences 10, 11, 9: a deviation of 1, two degrees of freedom, t = 4.302653
    assert report["contrasts"][0]["half_width"] == pytest.approx(4.302653 / 3**0.5)
    row = "| orn | activity-head | 10.0 +- 2.5 | 3 | 0.003 | 0.007 | holds |"
    assert row in as_summary(report).markdown()


def test_holm_corrects_for_all_comparisons() -> None:
    percents = {"orn": (70.5, 71.5, 72.5), "object-head": (65.0, 68.0, 69.1)}
    plain = paired(*(dict(enumerate(values)) for values in percents.values()))["p_value"]
    assert plain is not None and 0.025 < plain < 0.05
    (row,) = ablation_summary(made_results(percents))["contrasts"]
    assert (row["p_holm"], row["verdict"]) == (pytest.approx(plain), "holds")
    more = percents | {"activity-head": (67.5, 68.5, 69.6)}
    row = ablation_summary(made_results(more))["contrasts"][0]
    assert (row["better"], row["worse"]) == ("orn", "object-head")
    assert (row["p_value"], row["p_holm"]) == pytest.approx((plain, 2 * plain))
    assert row["verdict"] == "not decided"


@pytest.mark.parametrize(
    ("percents", "figures", "why"),
    [
        ((9.0, 9.0, 6.0), {}, "not above chance"),  # a mean of 8, chance is 8
        ((9.0, 9.0, 7.0), {}, None),
        ((30.0, 30.0, 30.0), {"loss_fall": 0.051}, "loss still falls"),
        ((30.0, 30.0, 30.0), {"loss_fall": 0.05}, None),
        ((30.0, 30.0, 30.0), {"loss_fall": -0.2}, None),
    ],
)
def test_a_side_has_learned_above_chance_with_a_loss_at_rest(percents, figures, why) -> None:
    results = [
        *made_results({"orn": (70.0, 72.0, 71.0)}),
        *made_results({"activity-head": percents}, **figures),
    ]
    report = ablation_summary(results)
    assert [row["why_not_learned"] for row in report["systems"]] == [None, why]
    (row,) = report["contrasts"]
    assert row["not_learned"] == (["activity-head"] if why else [])
    assert row["verdict"] == ("one side has not learned" if why else "holds")
