"""What the first phase trains, in which batches, and what it hands over to the second."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch

from orn.stage2_train.evaluation.metrics import score_heads
from orn.stage2_train.model.inputs import NetworkInputs
from orn.stage2_train.model.network import ObjectVideoNetwork
from orn.stage2_train.recipe import PhaseRecipe, Recipe
from orn.stage2_train.runs.checkpoint import load_checkpoint
from orn.stage2_train.runs.phases import plan_phases
from orn.stage2_train.training import loop
from orn.stage2_train.training.step import freeze_for


def same_weights(one: ObjectVideoNetwork, other: ObjectVideoNetwork) -> bool:
    """Whether two networks are equal to the bit."""
    ours, theirs = one.state_dict(), other.state_dict()
    return all(torch.equal(ours[name], theirs[name]) for name in ours)


def script(patch: pytest.MonkeyPatch, *metrics: float) -> None:
    """Makes validations find the given metrics, one after the other."""
    found = iter(metrics)

    def scores(predictions, clips):
        return {
            name: replace(each, summary={"top1": next(found)})
            for name, each in list(score_heads(predictions, clips).items())[:1]
        }

    patch.setattr(loop, "score_heads", scores)


@pytest.fixture
def scripted_metrics(monkeypatch):
    """`script`, taken back at the end."""
    return partial(script, monkeypatch)


@pytest.fixture(scope="module")
def best_handed_over(tiny_recipe) -> Recipe:
    """Two phases of two epochs, no checkpoint within them."""
    phases = PhaseRecipe(object_head_epochs=2, epochs=2, hand_over="best")
    return replace(tiny_recipe, phases=phases, checkpoint_every_steps=100)


@pytest.fixture(scope="module")
def whole(run_tiny, best_handed_over, tmp_path_factory) -> tuple[ObjectVideoNetwork, Path]:
    """A training that was never killed, and its folder."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        script(patch, 0.9, 0.1, 0.5, 0.6)
        return run_tiny(folder, best_handed_over), folder


def first_weights_of_the_second_phase(run_tiny, recipe, folder, monkeypatch) -> dict:
    """The network's state when the second phase makes its first step."""
    seen: dict = {}
    real = loop.training_step

    def step(accelerator, model, *args, **options):
        if options["heads"] == "both" and not seen:
            seen.update({key: value.clone() for key, value in model.state_dict().items()})
        return real(accelerator, model, *args, **options)

    monkeypatch.setattr(loop, "training_step", step)
    run_tiny(folder, recipe)
    monkeypatch.setattr(loop, "training_step", real)
    return seen


@pytest.mark.parametrize(("hand_over", "step"), [("best", 4), ("last", 8)])
def test_which_weights_are_handed_over(
    hand_over, step, run_tiny, tiny_recipe, tmp_path, monkeypatch, scripted_metrics
) -> None:
    phases = PhaseRecipe(object_head_epochs=2, epochs=1, hand_over=hand_over)
    recipe = replace(tiny_recipe, phases=phases)
    scripted_metrics(0.9, 0.1, 0.5)
    found = first_weights_of_the_second_phase(run_tiny, recipe, tmp_path / "two", monkeypatch)
    scripted_metrics(*[0.5] * 9)
    until = run_tiny(tmp_path / "one", recipe, max_steps=step).state_dict()
    assert all(torch.equal(found[name], until[name]) for name in until)


def test_without_validation_the_last_weights_are_handed_over(run_tiny, tiny_recipe, tmp_path):
    phases = replace(tiny_recipe.phases, hand_over="best")
    best = run_tiny(tmp_path / "a", replace(tiny_recipe, phases=phases), without_validation=True)
    last = run_tiny(tmp_path / "b", tiny_recipe, without_validation=True)
    assert same_weights(best, last)


@pytest.mark.parametrize(
    "place",
    [
        "_save-last",
        pytest.param("step-8", marks=pytest.mark.slow),
        pytest.param("step-9", marks=pytest.mark.slow),
        "after-best",
    ],
)
def test_killed_around_the_hand_over_equals_never_killed(
    place, run_tiny, best_handed_over, whole, tmp_path, monkeypatch, scripted_metrics
) -> None:
    """`after-best`: the best weights of the first phase are gone, those of the second are there."""
    recipe = best_handed_over
    real_save, real_step = loop._save, loop.training_step

    def save(session, name, optimiser):
        if place == "_save-last" and session.state.phase == 1 and name == loop.LAST_NAME:
            raise KeyboardInterrupt
        real_save(session, name, optimiser)
        if place == "after-best" and session.state.phase == 1 and name == loop.BEST_NAME:
            raise KeyboardInterrupt

    def step(*args, **options):
        if place == f"step-{options['step']}":
            raise KeyboardInterrupt
        return real_step(*args, **options)

    monkeypatch.setattr(loop, "_save", save)
    monkeypatch.setattr(loop, "training_step", step)
    scripted_metrics(0.9, 0.1, 0.5, 0.6)
    with pytest.raises(KeyboardInterrupt):
        run_tiny(tmp_path / "killed", recipe)
    monkeypatch.setattr(loop, "_save", real_save)
    monkeypatch.setattr(loop, "training_step", real_step)
    scripted_metrics(0.5, 0.6)
    assert same_weights(run_tiny(tmp_path / "killed", recipe), whole[0])
    best = [load_checkpoint(run / "best.pt").state for run in (tmp_path / "killed", whole[1])]
    assert best[0] == best[1]


def is_of_resnet(name: str) -> bool:
    """Whether a tensor belongs to conv1 to conv5 of the object head."""
    return name.startswith(("trunk.", "object_head.conv5."))


def test_a_frozen_resnet_keeps_its_weights_while_statistics_move(
    run_tiny, tiny_recipe, tmp_path: Path
) -> None:
    phases = PhaseRecipe(object_head_epochs=1, epochs=0, object_head_trains_resnet=False)
    recipe = replace(tiny_recipe, phases=phases)
    torch.manual_seed(recipe.seed)
    first = ObjectVideoNetwork(recipe.model)
    learned = {name for name, _ in first.named_parameters()}
    before, after = first.state_dict(), run_tiny(tmp_path, recipe).state_dict()
    for name, weights in after.items():
        if name.startswith("activity_head."):
            assert torch.equal(weights, before[name]), name
        elif is_of_resnet(name):
            assert torch.equal(weights, before[name]) == (name in learned), name
        else:
            assert not torch.equal(weights, before[name]), name


def test_the_second_phase_trains_everything_again(run_tiny, tiny_recipe, tmp_path) -> None:
    phases = replace(tiny_recipe.phases, object_head_trains_resnet=False)
    network = run_tiny(tmp_path, replace(tiny_recipe, phases=phases))
    assert all(weights.requires_grad for weights in network.parameters())
    torch.manual_seed(tiny_recipe.seed)
    first = ObjectVideoNetwork(tiny_recipe.model).state_dict()
    moved = network.state_dict()
    assert not any(
        torch.equal(moved[name], first[name]) for name in first if first[name].is_floating_point()
    )


def test_no_gradient_is_computed_for_a_frozen_resnet(tiny_recipe) -> None:
    """What saves the time: nothing of the ResNet is part of the graph."""
    phases = replace(tiny_recipe.phases, object_head_trains_resnet=False)
    network = ObjectVideoNetwork(tiny_recipe.model).train()
    freeze_for(network, plan_phases(replace(tiny_recipe, phases=phases), num_segments=8)[0])
    feats = []
    network.object_head.conv5.register_forward_hook(lambda *call: feats.append(call[-1]))
    network.trunk.register_forward_hook(lambda *call: feats.append(call[-1]))
    config = tiny_recipe.model
    batch = NetworkInputs(
        frames_BTCHW=torch.zeros(1, 2, 3, 32, 48, dtype=torch.uint8),
        masks_BTKhw=torch.ones(1, 2, 2, config.mask_size, config.mask_size),
        coverage_BTKhw=torch.ones(1, 2, 2, 2, 3),
        class_scores_BTKS=torch.zeros(1, 2, 2, config.class_width),
        valid_BTK=torch.ones(1, 2, 2, dtype=torch.bool),
    )
    output = network(batch, heads="object")
    assert len(feats) == 2
    assert not any(each.requires_grad for each in feats)
    assert output.object_logits_BA.requires_grad


def test_batches_of_the_first_phase_have_a_size_of_their_own(
    run_tiny, tiny_recipe, tmp_path, monkeypatch
) -> None:
    phases = PhaseRecipe(object_head_epochs=2, epochs=1, object_head_batch_size=4)
    recipe = replace(tiny_recipe, phases=phases)
    planned = plan_phases(recipe, num_segments=8)
    assert [(each.num_steps, each.batch_size, each.num_batches) for each in planned] == [
        (4, 4, 2),
        (4, 2, 4),
    ]
    sizes = []
    real = loop.training_step

    def step(*args, **options):
        sizes.extend(len(batch) for batch in args[3])
        return real(*args, **options)

    monkeypatch.setattr(loop, "training_step", step)
    never = run_tiny(tmp_path / "never", recipe)
    assert sizes == [4] * 4 + [2] * 4
    assert never.state.epoch == 3
    for stop in (1, 4, 6):
        run_tiny(tmp_path / "stopped", recipe, max_steps=stop)
    assert same_weights(run_tiny(tmp_path / "stopped", recipe), never)


def test_reasoning_starts_fresh_in_the_second_phase(
    run_tiny, tiny_recipe, tmp_path, monkeypatch
) -> None:
    model = replace(tiny_recipe.model, first_phase_reasoning="mean")
    recipe = replace(tiny_recipe, model=model)
    torch.manual_seed(recipe.seed)
    fresh = ObjectVideoNetwork(model).state_dict()
    found = first_weights_of_the_second_phase(run_tiny, recipe, tmp_path / "whole", monkeypatch)
    for name, weights in found.items():
        if name.startswith("object_head.reasoning."):
            assert torch.equal(weights, fresh[name]), name
        if name.startswith("object_head.first_phase."):
            assert not torch.equal(weights, fresh[name]), name
    whole = run_tiny(tmp_path / "whole", recipe)
    kept = whole.object_head.first_phase.classify.weight
    assert torch.equal(kept, found["object_head.first_phase.classify.weight"])
    for stop in (3, 4, 6):  # inside of both phases, and between them
        run_tiny(tmp_path / "stopped", recipe, max_steps=stop)
    assert same_weights(run_tiny(tmp_path / "stopped", recipe), whole)


def test_resuming_with_dropout_equals_never_stopped(run_tiny, tiny_recipe, tmp_path) -> None:
    recipe = replace(tiny_recipe, model=replace(tiny_recipe.model, mlp_dropout=0.5))
    whole = run_tiny(tmp_path / "whole", recipe)
    for stop in (2, 5):
        run_tiny(tmp_path / "stopped", recipe, max_steps=stop)
        torch.rand(7)  # draws of torch's global generator in between
    assert same_weights(run_tiny(tmp_path / "stopped", recipe), whole)
    assert not same_weights(run_tiny(tmp_path / "plain"), whole)
