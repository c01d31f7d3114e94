"""The training loop: what it does, and that being killed changes nothing."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from orn.stage2_train.runs.checkpoint import load_best, load_last
from orn.stage2_train.runs.run_folder import read_jsonl
from orn.stage2_train.settings.recipe import PhaseRecipe
from orn.stage2_train.training import loop
from tests.stage2_train.training.conftest import before_each_step, same_weights

NUM_STEPS = 12  # eight training segments in batches of two, three epochs


def metrics_of(run: Path) -> list[dict]:
    """Lines of the log without what depends on the clock."""
    lines = read_jsonl(run / "metrics.jsonl")
    clock = ("clips_per_second", "seconds")
    return [{key: value for key, value in line.items() if key not in clock} for line in lines]


def test_two_phases_with_metrics(whole) -> None:
    network, run = whole
    assert network.state.step == NUM_STEPS
    assert network.state.is_finished(2)
    lines = read_jsonl(run / "metrics.jsonl")
    training = [line for line in lines if line["group"] == "train"]
    assert [line["step"] for line in training] == list(range(1, NUM_STEPS + 1))
    assert [line["phase"] for line in training] == ["object_head"] * 4 + ["two_heads"] * 8
    assert {"loss", "accuracy", "gradient_norm", "clips_per_second"} < set(training[0])
    rates = [line["learning_rate"] for line in training]
    assert rates[0] == pytest.approx(1e-2)  # the warm-up of a phase of four steps is none
    assert rates[3] == rates[11] == pytest.approx(4e-8)
    assert rates[4] == pytest.approx(4e-4)
    assert rates[5] > 9e-3
    validation = [line for line in lines if line["group"] == "validation"]
    assert [line["step"] for line in validation] == [4, 8, 12]
    assert "two_heads_top1" not in validation[0]
    assert {"two_heads_top1", "activity_head_top1", "object_head_top1"} <= set(validation[2])
    assert list((run / "tensorboard").iterdir())
    seconds = [line["seconds"] for line in training]
    assert json.loads((run / "state.json").read_text())["seconds"] == sum(seconds)


def test_stopped_and_resumed_equals_never_stopped(whole, run_tiny, tmp_path) -> None:
    for stop in (1, 3, 4, 8, 11):
        assert run_tiny(tmp_path, max_steps=stop).state.step == stop
    resumed = run_tiny(tmp_path)
    assert same_weights(resumed, whole[0])
    assert resumed.state == whole[0].state
    assert metrics_of(tmp_path) == metrics_of(whole[1])


def test_a_finished_run_does_nothing(whole, run_tiny) -> None:
    _, run = whole
    before = {path: path.stat().st_mtime_ns for path in run.iterdir()}
    with before_each_step(lambda *_, **__: pytest.fail("trained")):
        assert run_tiny(run).state.step == NUM_STEPS
    assert {path: path.stat().st_mtime_ns for path in run.iterdir()} == before


def test_the_best_weights_are_chosen_on_the_validation_split(
    run_tiny, tiny_world, tmp_path, monkeypatch
) -> None:
    seen, score = [], loop.score_heads

    def noted(predictions, clips):
        seen.append(predictions.ids)
        return score(predictions, clips)

    monkeypatch.setattr(loop, "score_heads", noted)
    run_tiny(tmp_path)
    segments = tiny_world.dataset.segments
    expected = tuple(own.id for own in segments if own.split == "validation")
    assert seen == [expected] * 3


def test_the_last_step_of_an_epoch_has_the_batches_that_are_left(
    run_tiny, tiny_recipe, tmp_path
) -> None:
    optimizer = replace(tiny_recipe.optimizer, accumulation=3)
    seen: list[int] = []
    with before_each_step(lambda _, batches, **__: seen.append(len(batches))):
        run_tiny(tmp_path, replace(tiny_recipe, optimizer=optimizer))
    assert seen == [3, 1] * 3


def test_early_stopping_ends_a_phase(run_tiny, tiny_recipe, tmp_path, scripted_metrics) -> None:
    phases = PhaseRecipe(object_head_epochs=0, epochs=6)
    validation = replace(tiny_recipe.validation, patience=2)
    scripted_metrics(0.4, 0.3, 0.5, 0.5, 0.4)
    recipe = replace(tiny_recipe, phases=phases, validation=validation)
    state = run_tiny(tmp_path, recipe).state
    assert (state.step, state.best_metric, state.best_step) == (20, 0.5, 12)
    assert state.is_finished(1)
    assert load_best(tmp_path, phase=0).step == 12
    assert load_last(tmp_path, repair=False).state == state
