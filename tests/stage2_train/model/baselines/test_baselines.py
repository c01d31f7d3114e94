"""What holds of each baseline: any clip length and size, frames alone count, drawn dropout."""

import math
from dataclasses import replace

import pytest
import torch

from orn.shared.errors import ConfigError
from orn.stage2_train.model.build import build_network
from orn.stage2_train.model.inputs import NetworkInputs

ARCHITECTURES = ("i3d", "c3d", "trn")


@pytest.fixture(params=ARCHITECTURES)
def make_baseline(request, baseline_config, randomise):
    """A function giving one of the baselines, for clips of `frames` frames."""

    def make(frames: int = 4, **settings):
        if request.param == "trn":
            settings |= {"num_frames": frames, "kernels": ("2d",) * 5}
        torch.manual_seed(0)
        network = build_network(baseline_config(request.param, **settings)).eval()
        randomise(network)
        return network

    return make


@pytest.mark.parametrize("frames", [2, 3, 4, 8])
@pytest.mark.parametrize("size", [(16, 16), (64, 80)])
def test_any_clip_gives_finite_logits(make_baseline, frames_batch, frames, size) -> None:
    output = make_baseline(frames)(frames_batch(frames=frames, size=size), heads="activity")
    assert output.logits_BA.shape == (2, 3)
    assert output.logits_BA.isfinite().all()
    assert output.logits_BA is output.activity_logits_BA
    assert output.object_logits_BA is None
    assert output.class_logits_BTKS is None


def test_evaluation_is_repeatable_and_clips_are_apart(make_baseline, frames_batch) -> None:
    """Whatever the objects are, and by weights that follow the seed."""
    batch, network = frames_batch(clips=3), make_baseline().double()
    nothing = {
        name: torch.full_like(getattr(batch, name), math.nan)
        for name in ("masks_BTKhw", "coverage_BTKhw", "class_scores_BTKS")
    }
    with torch.no_grad():
        first = network(batch).logits_BA
        again = make_baseline().double()(replace(batch, **nothing)).logits_BA
        assert torch.equal(first, again)
        single = network(_clip(batch, 1)).logits_BA
    torch.testing.assert_close(single[0], first[1], rtol=1e-9, atol=1e-12)


def test_the_order_of_frames_matters(make_baseline, frames_batch) -> None:
    batch, network = frames_batch(), make_baseline().double()
    backwards = replace(batch, frames_BTCHW=batch.frames_BTCHW.flip(1))
    with torch.no_grad():
        assert not torch.allclose(network(batch).logits_BA, network(backwards).logits_BA)


def test_draws_of_training_come_from_the_generator(make_baseline, frames_batch) -> None:
    batch, network = frames_batch(), make_baseline(base_width=8).train()

    def logits(seed: int) -> torch.Tensor:
        torch.rand(1)  # the global generator is somewhere else each time
        return network(batch, generator=torch.Generator().manual_seed(seed)).logits_BA

    assert torch.equal(logits(3), logits(3))
    assert not torch.equal(logits(3), logits(4))


def test_every_weight_gets_a_gradient(make_baseline, frames_batch) -> None:
    network = make_baseline(base_width=8).train()
    network(frames_batch(), generator=torch.Generator().manual_seed(0)).logits_BA.sum().backward()
    without = [name for name, weight in network.named_parameters() if weight.grad is None]
    assert not without


def test_other_heads_are_refused(make_baseline, frames_batch) -> None:
    with pytest.raises(ConfigError, match="a baseline has the activity head alone, found 'both'"):
        make_baseline()(frames_batch(), heads="both")


def _clip(batch: NetworkInputs, clip: int) -> NetworkInputs:
    fields = NetworkInputs.__dataclass_fields__
    return replace(batch, **{name: getattr(batch, name)[clip : clip + 1] for name in fields})
