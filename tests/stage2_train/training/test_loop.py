"""The training loop: what it does, and that being killed changes nothing."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from orn.shared.errors import CheckpointError, TrainingError
from orn.stage2_train.model.network import ObjectVideoNetwork
from orn.stage2_train.recipe import PhaseRecipe, ValidationRecipe
from orn.stage2_train.runs.checkpoint import load_checkpoint
from orn.stage2_train.runs.run_folder import read_jsonl
from orn.stage2_train.training import loop

NUM_STEPS = 12  # eight training segments in batches of two, three epochs


def same_weights(one: ObjectVideoNetwork, other: ObjectVideoNetwork) -> bool:
    """Whether two networks are equal to the bit."""
    ours, theirs = one.state_dict(), other.state_dict()
    return all(torch.equal(ours[name], theirs[name]) for name in ours)


def metrics_of(run: Path) -> list[dict]:
    """Lines of the log without what depends on the clock."""
    lines = read_jsonl(run / "metrics.jsonl")
    clock = ("clips_per_second", "seconds")
    return [{key: value for key, value in line.items() if key not in clock} for line in lines]


@pytest.fixture(scope="module")
def whole(run_tiny, tmp_path_factory) -> tuple[ObjectVideoNetwork, Path]:
    """A training that was never killed, and its folder."""
    folder = tmp_path_factory.mktemp("whole")
    return run_tiny(folder), folder


def test_two_phases_with_metrics(whole) -> None:
    network, run = whole
    assert network.state.step == NUM_STEPS
    assert network.state.is_finished(2)
    lines = read_jsonl(run / "metrics.jsonl")
    training = [line for line in lines if line["group"] == "train"]
    assert [line["step"] for line in training] == list(range(1, NUM_STEPS + 1))
    assert [line["phase"] for line in training] == ["object_head"] * 4 + ["two_heads"] * 8
    assert set(training[0]) == {
        "step",
        "group",
        "phase",
        "epoch",
        "loss",
        "activity_loss",
        "object_class_loss",
        "accuracy",
        "gradient_norm",
        "learning_rate",
        "clips_per_second",
        "seconds",
    }
    validation = [line for line in lines if line["group"] == "validation"]
    assert [line["step"] for line in validation] == [4, 8, 12]
    assert "two_heads_top1" not in validation[0]
    assert {"two_heads_top1", "activity_head_top1", "object_head_top1"} <= set(validation[2])
    assert list((run / "tensorboard").iterdir())
    seconds = [line["seconds"] for line in training]
    assert json.loads((run / "state.json").read_text())["seconds"] == sum(seconds)


def test_learning_rates_follow_the_schedule_of_each_phase(whole) -> None:
    rates = [line["learning_rate"] for line in metrics_of(whole[1]) if line["group"] == "train"]
    assert rates[0] == pytest.approx(1e-2)  # the warm-up of a phase of four steps is none
    assert rates[3] == rates[11] == pytest.approx(4e-8)
    assert rates[4] == pytest.approx(4e-4)
    assert rates[5] > 9e-3


@pytest.mark.parametrize("stops", [(1, 2, 5, 11), (3, 4, 8), (6,)])
def test_stopped_and_resumed_equals_never_stopped(whole, run_tiny, tmp_path, stops) -> None:
    for stop in stops:
        assert run_tiny(tmp_path, max_steps=stop).state.step == stop
    resumed = run_tiny(tmp_path)
    assert same_weights(resumed, whole[0])
    assert resumed.state == whole[0].state
    assert metrics_of(tmp_path) == metrics_of(whole[1])


@pytest.mark.parametrize("step", [1, 5, 9])
def test_killed_and_resumed_equals_never_killed(
    whole, run_tiny, tmp_path, monkeypatch, step
) -> None:
    real = loop.training_step

    def die(*args, **options):
        if options["step"] == step:
            raise KeyboardInterrupt
        return real(*args, **options)

    monkeypatch.setattr(loop, "training_step", die)
    with pytest.raises(KeyboardInterrupt):
        run_tiny(tmp_path)
    monkeypatch.setattr(loop, "training_step", real)
    resumed = run_tiny(tmp_path)
    assert same_weights(resumed, whole[0])
    assert metrics_of(tmp_path) == metrics_of(whole[1])
    best = [load_checkpoint(run / "best.pt") for run in (tmp_path, whole[1])]
    assert best[0].state == best[1].state


def test_resuming_inside_an_epoch_with_accumulation(run_tiny, tiny_recipe, tmp_path) -> None:
    recipe = replace(
        tiny_recipe, optimiser=replace(tiny_recipe.optimiser, accumulation=3, batch_size=1)
    )
    never = run_tiny(tmp_path / "never", recipe)
    assert never.state.step == 9  # eight batches an epoch: steps of three, three and two
    run_tiny(tmp_path / "stopped", recipe, max_steps=4)
    assert same_weights(run_tiny(tmp_path / "stopped", recipe), never)


@pytest.mark.slow
def test_workers_change_nothing(whole, run_tiny, tmp_path) -> None:
    assert same_weights(run_tiny(tmp_path, workers=1), whole[0])


def test_a_finished_run_does_nothing(whole, run_tiny, monkeypatch) -> None:
    _, run = whole
    before = {path: path.stat().st_mtime_ns for path in run.iterdir()}
    monkeypatch.setattr(loop, "training_step", lambda *args, **options: pytest.fail("trained"))
    assert run_tiny(run).state.step == NUM_STEPS
    assert {path: path.stat().st_mtime_ns for path in run.iterdir()} == before


def test_object_phase_leaves_the_activity_head_alone(run_tiny, tiny_recipe, tmp_path) -> None:
    recipe = replace(tiny_recipe, phases=PhaseRecipe(object_head_epochs=2, epochs=0))
    torch.manual_seed(recipe.seed)
    first = ObjectVideoNetwork(recipe.model).state_dict()
    trained = run_tiny(tmp_path, recipe).state_dict()
    for name, weights in trained.items():
        activity = name.startswith("activity_head.")
        assert torch.equal(weights, first[name]) == activity or not weights.is_floating_point(), (
            name
        )


def test_phases_by_steps(run_tiny, tiny_recipe, tmp_path) -> None:
    recipe = replace(
        tiny_recipe,
        phases=PhaseRecipe(object_head_epochs=9, epochs=9, object_head_steps=2, steps=5),
    )
    never = run_tiny(tmp_path / "never", recipe)
    assert never.state.step == 7
    lines = [line for line in metrics_of(tmp_path / "never") if line["group"] == "validation"]
    assert [line["step"] for line in lines] == [2, 6, 7]
    run_tiny(tmp_path / "stopped", recipe, max_steps=2)
    run_tiny(tmp_path / "stopped", recipe, max_steps=3)
    assert same_weights(run_tiny(tmp_path / "stopped", recipe), never)


def test_early_stopping_ends_a_phase(run_tiny, tiny_recipe, tmp_path, monkeypatch) -> None:
    recipe = replace(
        tiny_recipe,
        phases=PhaseRecipe(object_head_epochs=0, epochs=6),
        validation=ValidationRecipe(patience=2),
    )
    metrics = iter([0.3, 0.5, 0.5, 0.4])
    real = loop.score_heads

    def scripted(predictions, clips):
        scores = real(predictions, clips)
        two_heads = replace(scores["two_heads"], summary={"top1": next(metrics)})
        return scores | {"two_heads": two_heads}

    monkeypatch.setattr(loop, "score_heads", scripted)
    state = run_tiny(tmp_path, recipe).state
    assert (state.step, state.best_metric, state.best_step) == (16, 0.5, 8)
    assert state.is_finished(1)
    assert load_checkpoint(tmp_path / "best.pt").state.step == 8
    assert load_checkpoint(tmp_path / "last.pt").state == state


def test_without_validation(run_tiny, tmp_path) -> None:
    state = run_tiny(tmp_path, without_validation=True).state
    assert (state.step, state.best_metric) == (NUM_STEPS, None)
    assert not (tmp_path / "best.pt").exists()


def test_clips_of_one_frame(run_tiny, tiny_recipe, tmp_path) -> None:
    """There are no pairs of frames then; the object head says the same of every clip."""
    recipe = replace(tiny_recipe, data=replace(tiny_recipe.data, clip_frames=1))
    state = run_tiny(tmp_path, recipe).state
    assert state.step == NUM_STEPS
    assert state.is_finished(2)


def test_loss_that_is_not_finite_stops_before_the_weights_move(
    run_tiny, tiny_recipe, tmp_path
) -> None:
    optimiser = replace(
        tiny_recipe.optimiser, learning_rate=1000.0, schedule="constant", gradient_clip=None
    )
    recipe = replace(tiny_recipe, optimiser=optimiser)
    with pytest.raises(TrainingError, match=r"step \d+: \w+ is (nan|inf)"):
        run_tiny(tmp_path, recipe)
    assert (tmp_path / "not-finite.json").exists()


def test_bf16(run_tiny, tiny_recipe, tmp_path) -> None:
    recipe = replace(tiny_recipe, precision="bf16")
    network = run_tiny(tmp_path / "never", recipe)
    assert network.state.step == NUM_STEPS
    assert all(weights.dtype != torch.bfloat16 for weights in network.state_dict().values())
    run_tiny(tmp_path / "stopped", recipe, max_steps=5)
    assert same_weights(run_tiny(tmp_path / "stopped", recipe), network)


def test_checkpoint_of_another_network(run_tiny, tiny_recipe, tmp_path) -> None:
    run_tiny(tmp_path, max_steps=1)
    other = replace(tiny_recipe, model=replace(tiny_recipe.model, relation_width=7))
    with pytest.raises(CheckpointError, match=r"last\.pt: does not fit the run's network"):
        run_tiny(tmp_path, other)
