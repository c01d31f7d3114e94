"""One step: mean gradients, limits, and losses that are not finite."""

from dataclasses import replace

import pytest
import torch
from torch.nn.parallel import DistributedDataParallel

from orn.shared.errors import TrainingError
from orn.stage2_train.clips.batches import LoaderSettings, training_loader
from orn.stage2_train.model.build import build_object_network
from orn.stage2_train.runs.accelerator import build_accelerator
from orn.stage2_train.training.step import step_generator, total_loss, training_step
from tests.stage2_train.training.conftest import sources_of

ROUND_OFF = 1e-4  # float32; weights are subtracted to see how they moved


@pytest.fixture
def make_step(tiny_world, tiny_recipe):
    """A function that makes one step with plain gradient descent of rate 1."""

    def step(
        recipe=tiny_recipe,
        *,
        spoil=lambda network: None,
        wrap=lambda network: network,
        accelerator=None,
        num_batches=1,
        seen=None,
    ):
        opened = sources_of(tiny_world)
        clips = opened.clip_dataset(opened.join("train", recipe), recipe)
        batches = list(training_loader(clips, LoaderSettings(batch_size=2), epochs=range(1)))
        if seen is not None:
            seen += batches[:num_batches]
        torch.manual_seed(0)
        network = build_object_network(recipe.model).train()
        before = [parameter.detach().clone() for parameter in network.parameters()]
        spoil(network)
        values = training_step(
            accelerator or build_accelerator("fp32", "cpu"),
            wrap(network),
            torch.optim.SGD(network.parameters(), lr=1.0),
            batches[:num_batches],
            recipe=recipe,
            heads="both",
            step=7,
        )
        moved = torch.cat(
            [
                (old - new.detach()).flatten()
                for old, new in zip(before, network.parameters(), strict=True)
            ]
        )
        return values, moved

    return step


def test_gradient_is_cut_to_its_limit(make_step, tiny_recipe) -> None:
    def limited(limit):
        return replace(tiny_recipe, optimizer=replace(tiny_recipe.optimizer, gradient_clip=limit))

    values, free = make_step(limited(None))
    assert float(free.norm()) == pytest.approx(values["gradient_norm"], rel=1e-4)
    cut_values, cut = make_step(limited(0.01))
    assert float(cut.norm()) == pytest.approx(0.01, rel=1e-3)
    assert cut_values["gradient_norm"] == values["gradient_norm"]


def test_gradient_is_cut_after_processes_have_averaged_theirs(
    make_step, tiny_recipe, monkeypatch
) -> None:
    """One process, whose exchange stands for another with a gradient nine times as large."""
    recipe = replace(tiny_recipe, optimizer=replace(tiny_recipe.optimizer, gradient_clip=0.01))
    alone, _ = make_step(recipe, num_batches=2)
    accelerator = build_accelerator("fp32", "cpu")
    monkeypatch.setattr(accelerator, "no_sync", DistributedDataParallel.no_sync)

    def averaged(_, bucket):
        mean = torch.futures.Future()
        mean.set_result(bucket.buffer() * 5)
        return mean

    def shared(network):
        model = DistributedDataParallel(network)
        model.register_comm_hook(None, averaged)
        return model

    store = torch.distributed.HashStore()
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    try:
        values, moved = make_step(recipe, num_batches=2, wrap=shared, accelerator=accelerator)
    finally:
        torch.distributed.destroy_process_group()
    assert values["gradient_norm"] == pytest.approx(5 * alone["gradient_norm"], rel=1e-4)
    assert float(moved.norm()) == pytest.approx(0.01, rel=1e-3)


def test_two_batches_are_averaged(make_step, tiny_recipe) -> None:
    recipe = replace(tiny_recipe, optimizer=replace(tiny_recipe.optimizer, gradient_clip=None))
    batches = []
    values, moved = make_step(recipe, num_batches=2, seen=batches)
    torch.manual_seed(0)
    network = build_object_network(recipe.model).train()
    generator = step_generator(recipe.seed, 7, 0)
    losses = []
    for batch in batches:
        output = network(batch, heads="both", generator=generator)
        losses.append(total_loss(output, batch, recipe.losses)["loss"])
    mean = torch.stack(losses).mean()
    gradients = torch.autograd.grad(mean, list(network.parameters()))
    expected = torch.cat([gradient.flatten() for gradient in gradients])
    torch.testing.assert_close(moved, expected, rtol=ROUND_OFF, atol=ROUND_OFF)
    assert values["loss"] == pytest.approx(mean.item(), rel=1e-5)


def test_draws_of_a_step_depend_on_seed_step_and_process() -> None:
    def draw(*key: int) -> float:
        return float(torch.rand(1, generator=step_generator(*key)))

    assert draw(0, 1, 0) == draw(0, 1, 0)
    assert len({draw(0, 1, 0), draw(1, 1, 0), draw(0, 2, 0), draw(0, 1, 1)}) == 4


def test_loss_that_is_not_finite(make_step) -> None:
    def spoil(network) -> None:
        torch.nn.init.constant_(network.object_head.objects.classify_object.bias, float("inf"))

    with pytest.raises(TrainingError, match=r"step 7: .* loss, got nan .*film/\d"):
        make_step(spoil=spoil)


def test_gradient_that_is_not_finite(make_step) -> None:
    def spoil(network) -> None:
        weight = network.object_head.reasoning.classify.weight
        weight.register_hook(lambda gradient: gradient * float("inf"))

    with pytest.raises(TrainingError, match=r"step 7: .* gradient_norm"):
        make_step(spoil=spoil)
