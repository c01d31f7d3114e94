"""Factors of both heads' logits that are fitted on the validation split."""

import json
from dataclasses import replace

import numpy as np
import pytest

from orn.shared.predictions import Predictions, load_predictions
from orn.stage2_train.evaluation.calibration import SCALES, fitted_scales
from orn.stage2_train.runs.run_config import read_config
from tests.reference.calibration import best_on_grid, negative_log_likelihood
from tests.running import run_orn
from tests.worlds.films import make_workspace, words_of, write_signed

GRID = np.geomspace(*SCALES, 41).tolist()
STEP = GRID[1] / GRID[0]
CASES = {
    "single": {},
    "several": {"multi_label": True},
    "unsure": {"multi_label": True, "unsure": True},
    "sum": {"combination": "sum"},
    "useless-activity": {"signal": (-0.5, 1.5)},
    "separated": {"signal": (0.0, 6.0)},
}


def drawn(
    *,
    multi_label: bool = False,
    unsure: bool = False,
    combination: str = "mean",
    signal: tuple[float, float] = (0.5, 1.5),
) -> Predictions:
    """Logits of both heads that know so much of the labels."""
    random = np.random.default_rng(0)
    labels = random.integers(4, size=30)
    if multi_label:
        labels = (random.random((30, 4)) < 0.4).astype(np.float32)
    is_one_NA = labels if multi_label else np.eye(4)[labels]
    heads = [
        (each * (2 * is_one_NA - 1) + random.normal(size=(30, 4))).astype(np.float32)
        for each in signal
    ]
    return Predictions(
        ids=tuple(map(str, range(30))),
        labels=labels,
        activity_logits=heads[0],
        object_logits=heads[1],
        combination=combination,
        unsure=random.random((30, 4)) < 0.3 if unsure else None,
    )


@pytest.mark.parametrize("name", CASES)
def test_no_pair_of_a_grid_is_more_likely(name) -> None:
    found = drawn(**CASES[name])
    scales = fitted_scales(found)
    assert scales == fitted_scales(found)  # to the bit
    plain = [found.activity_logits.tolist(), found.object_logits.tolist(), found.labels.tolist()]
    options = {
        "share": 1.0 if found.combination == "sum" else 0.5,
        "unsure_NA": None if found.unsure is None else found.unsure.tolist(),
    }
    best = best_on_grid(GRID, *plain, **options)
    own = tuple(scales.values())
    assert negative_log_likelihood(*plain, scales=own, **options) <= (
        negative_log_likelihood(*plain, scales=best, **options) + 1e-9
    )
    assert all(SCALES[0] <= each <= SCALES[1] for each in own)
    if name != "separated":  # where many pairs are as likely
        np.testing.assert_allclose(own, best, rtol=STEP - 1)


def test_a_run_is_measured_with_factors_beside_its_own_figures(one_step) -> None:
    config = read_config(one_step)
    phases = replace(config.recipe.phases, object_head_epochs=0)
    write_signed(one_step, replace(config, recipe=replace(config.recipe, phases=phases)))
    for split in ("train", "validation"):
        assert run_orn("eval", one_step, "--split", split, "--json").json["head_scales"] is None
    kept = (one_step / "eval-train.json").read_bytes()
    said = run_orn("eval", one_step, "--split", "train", "--calibrate-heads")
    assert (one_step / "eval-train.json").read_bytes() == kept
    scales = json.loads((one_step / "eval-train-calibrated.json").read_text())["head_scales"]
    assert f"object head {scales['object_head']:.4g}" in said.stdout
    plain, fitted_on, scaled = (
        load_predictions(one_step / f"predictions-{name}.npz")
        for name in ("train", "validation", "train-calibrated")
    )
    assert scales == fitted_scales(fitted_on)
    assert scaled.ids == plain.ids
    np.testing.assert_array_equal(
        scaled.object_logits, plain.object_logits * np.float32(scales["object_head"])
    )
    np.testing.assert_array_equal(
        scaled.activity_logits, plain.activity_logits * np.float32(scales["activity_head"])
    )
    assert "--split test" in run_orn("eval", one_step, "--calibrate-heads").stderr


def test_what_cannot_be_fitted_is_refused(tiny_world, one_step, tmp_path) -> None:
    assert "object head" in run_orn("eval", one_step, "--calibrate-heads", exit_code=2).stderr
    options = make_workspace(tiny_world, tmp_path)
    settings = ("phases.object_head_epochs=0", "data.train_with_validation=true")
    words = [word for each in settings for word in ("--set", each)]
    run_orn("train", *words_of(options), *words, "--max-steps", "1")
    calibrated = ("--calibrate-heads", "--split", "train")
    said = run_orn("eval", options["--run"], *calibrated, exit_code=2).stderr
    assert "data.train_with_validation" in said
    assert not list((tmp_path / "run").glob("eval-*"))
