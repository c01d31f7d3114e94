"""The paper's table beside what was measured: contrasts and verdicts."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_1samp, ttest_rel

from orn.shared.errors import ConfigError
from orn.stage2_train.runs.run_folder import RunStatus, append_jsonl, write_status
from orn.steps.ablation_summary import (
    ablation_summary,
    as_summary,
    mean_interval,
    read_results,
)
from tests.worlds.evaluations import write_evaluation
from tests.worlds.films import write_tiny_model

PERCENTS = {
    "orn": (70.0, 72.0, 71.0),
    "activity-head": (60.0, 61.0, 62.0),
    "clique-1": (70.0, 50.0, 90.0),
}


def made_results(
    percents: dict[str, tuple[float, ...]],
    *,
    settings: str = "",
    backbone: str | None = None,
) -> list[dict[str, Any]]:
    """One a seed of each system."""
    return [
        {
            "dataset": "demo",
            "split": "test",
            "run": f"runs/{system}/{settings}/seed{seed}",
            "commit": "abc",
            "system": system,
            "settings": settings,
            "seed": seed,
            "backbone": backbone,
            "metric": "top1",
            "heads": {"two_heads": {"top1": percent / 100}},
            "chance": 0.08,
            "num_segments": 100,
            "seconds": 5.0,
            "parameters": None,
        }
        for system, own in percents.items()
        for seed, percent in enumerate(own)
    ]


def test_means_and_contrasts() -> None:
    report = ablation_summary(made_results(PERCENTS), table="2")
    orn = report["systems"][0]
    assert (orn["system"], orn["num_seeds"], orn["mean"]) == ("orn", 3, pytest.approx(71))
    assert orn["percent_by_seed"] == {"0": 70.0, "1": 72.0, "2": 71.0}
    assert orn["paper"] == {"epic": "40.89", "vlog": "37.49", "something": "32.12"}
    assert [(row["worse"], row["verdict"]) for row in report["contrasts"]] == [
        *(("activity-head", "holds"), ("clique-1", "not decided"))
    ]
    assert "71.0 +- 2.5" in as_summary(report).text()
    # Differences 10, 11, 9: a deviation of 1, two degrees of freedom, t = 4.302653
    assert report["contrasts"][0]["half_width"] == pytest.approx(4.302653 / 3**0.5)
    row = "| orn | activity-head | 10.0 +- 2.5 | 3 | 0.003 | 0.007 | holds |"
    assert row in as_summary(report).markdown()


def test_holm_corrects_for_all_comparisons() -> None:
    percents = {"orn": (70.5, 71.5, 72.5), "object-head": (65.0, 68.0, 69.1)}
    plain = ttest_rel(*percents.values()).pvalue
    assert 0.025 < plain < 0.05
    (row,) = ablation_summary(made_results(percents))["contrasts"]
    assert (row["p_holm"], row["verdict"]) == (pytest.approx(plain), "holds")
    more = percents | {"activity-head": (67.5, 68.5, 69.6)}
    row = ablation_summary(made_results(more))["contrasts"][0]
    assert (row["better"], row["worse"]) == ("orn", "object-head")
    assert (row["p_value"], row["p_holm"]) == pytest.approx((plain, 2 * plain))
    assert row["verdict"] == "not decided"


@pytest.mark.parametrize(("last", "has_learned"), [(6.0, False), (7.0, True)])
def test_a_side_has_learned_above_chance(last, has_learned) -> None:
    """A mean of 8 is chance."""
    percents = {"orn": (70.0, 72.0, 71.0), "activity-head": (9.0, 9.0, last)}
    report = ablation_summary(made_results(percents))
    assert [row["has_learned"] for row in report["systems"]] == [True, has_learned]
    (row,) = report["contrasts"]
    assert row["verdict"] == ("holds" if has_learned else "not above chance: activity-head")


def test_runs_on_other_segments_are_refused() -> None:
    results = made_results(PERCENTS)
    results[-1]["num_segments"] = 99
    with pytest.raises(ConfigError, match="num_segments 100"):
        ablation_summary(results)


@given(differences=st.lists(st.integers(-100, 100), min_size=1, max_size=8))
def test_intervals_over_seeds_are_those_of_scipy(differences) -> None:
    result = mean_interval(differences)
    assert result["mean"] == pytest.approx(np.mean(differences))
    if len(set(differences)) < 2:  # of no spread scipy says that it cannot tell
        several = len(differences) > 1
        assert result["half_width"] == (0.0 if several else None)
        assert result["p_value"] == (float(not differences[0]) if several else None)
        return
    test = ttest_1samp(differences, 0)
    low, high = test.confidence_interval(0.95)
    assert result["p_value"] == pytest.approx(test.pvalue, rel=1e-9)
    assert result["half_width"] == pytest.approx((high - low) / 2, rel=1e-9)


def test_all_finished_runs_of_a_folder_are_read(tmp_path: Path) -> None:
    """Neither an unfinished one nor one that was trained again since."""
    places = ("orn/a.b=1,c=[2]/seed10", "orn/a.b=1,c=[2]/seed9", "activity-head/seed0")
    for place in (*places, "mine/seed0", "orn/one/two/seed0", "orn/seedling"):
        write_evaluation(tmp_path / place, "test")
        append_jsonl(tmp_path / place / "starts.jsonl", {"commit": "abc"})
    for place in ("orn/seed1", "orn/seed2"):
        write_evaluation(tmp_path / place, "test")
    status: dict[str, Any] = {"step": 1, "num_steps": 2, "phase": "object_head", "metric": "top1"}
    status |= {"best_metric": None, "best_step": None, "seconds": 1.0}
    write_status(tmp_path / "orn/seed1", RunStatus(**status, finished=False))
    write_tiny_model(tmp_path / "orn/seed2")
    results = read_results(tmp_path, "test")
    assert [(result["system"], result["settings"], result["seed"]) for result in results] == [
        ("activity-head", "", 0), ("orn", "a.b=1,c=[2]", 9), ("orn", "a.b=1,c=[2]", 10)
    ]  # fmt: skip
    assert (results[0]["commit"], results[0]["num_segments"]) == ("abc", 4)
    assert "75.0" in as_summary(ablation_summary(results)).text()
    assert read_results(tmp_path, "validation") == []
