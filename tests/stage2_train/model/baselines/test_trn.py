"""Temporal relations against plain loops, which subsets are used, and clips that do not fit."""

import pytest
import torch

from orn.shared.errors import ConfigError, ShapeError
from orn.stage2_train.model.baselines.trn import TRN, Relations, frame_subsets
from tests.reference.temporal_relation import multi_scale_logits


@pytest.fixture
def make_trn(baseline_config):
    def make(frames: int) -> TRN:
        torch.manual_seed(0)
        config = baseline_config("trn", num_frames=frames, kernels=("2d",) * 5)
        return TRN(config).double().eval()

    return make


@pytest.mark.parametrize("frames", [2, 3, 5])
def test_relations_equal_plain_loops(make_trn, frames) -> None:
    network = make_trn(frames)
    frames_BTE = torch.randn(2, frames, 256, dtype=torch.float64)
    ours_BA = sum(scale(frames_BTE, generator=None) for scale in network.relations)
    mlps = {
        number: (scale.relate, scale.classify)
        for number, scale in enumerate(network.relations, start=2)
    }
    assert list(mlps) == list(range(2, frames + 1))
    for clip in range(2):
        expected_A = multi_scale_logits(frames_BTE[clip], mlps)
        torch.testing.assert_close(ours_BA[clip], expected_A, rtol=1e-10, atol=1e-12)


def test_the_network_is_features_then_relations(make_trn, frames_batch) -> None:
    network, batch = make_trn(3), frames_batch(frames=3)
    seen = []
    network.reduce.register_forward_hook(lambda module, args, out: seen.append((args[0], out)))
    logits_BA = network(batch).logits_BA
    pooled_BTD, frames_BTE = seen[0]
    assert pooled_BTD.shape == (2, 3, 16)
    expected = sum(scale(frames_BTE, generator=None) for scale in network.relations)
    torch.testing.assert_close(logits_BA, expected)
    # A frame's features are its own: those of frame 2 alone, as a batch of its own, are the same.
    single = frames_batch(frames=3)
    object.__setattr__(single, "frames_BTCHW", batch.frames_BTCHW[:, [2, 2, 2]])
    network(single)
    torch.testing.assert_close(seen[1][0][:, 0], pooled_BTD[:, 2], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("frames", [None, 1, 17])
def test_number_of_frames_must_be_known_and_few(baseline_config, frames) -> None:
    with pytest.raises(ConfigError, match=f"num_frames: .* wanted 2 to 16 frames, found {frames}"):
        TRN(baseline_config("trn", num_frames=frames))


def test_clips_of_another_length_are_refused(make_trn, frames_batch) -> None:
    with pytest.raises(ShapeError, match=r"wanted clips of 3 frames, .* found 4"):
        make_trn(3)(frames_batch(frames=4))


@pytest.mark.parametrize(
    ("frames", "size", "training", "most"),
    [(5, 2, True, 3), (5, 2, False, 10), (12, 6, False, 128)],
)
def test_so_many_subsets_of_frames_are_used(frames, size, training, most) -> None:
    scale, related = Relations(frames, size, num_activities=3).train(training), []
    scale.relate.register_forward_hook(lambda module, args, out: related.append(args[0]))
    scale(torch.randn(1, frames, 256), generator=torch.Generator().manual_seed(0))
    assert len(frame_subsets(frames, size)) >= most
    assert sum(each.numel() // (256 * size) for each in related) == most
