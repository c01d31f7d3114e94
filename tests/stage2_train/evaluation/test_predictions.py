"""Logits of a split."""

import dataclasses
import re

import numpy as np
import pytest
import torch

from orn.shared.errors import CheckpointError
from orn.stage2_train.clips.batches import LoaderSettings, collate
from orn.stage2_train.clips.clip_draws import ClipRequest, ClipSettings
from orn.stage2_train.clips.dataset import ClipDataset
from orn.stage2_train.clips.object_slots import SlotSettings
from orn.stage2_train.evaluation.predict_split import gathered, predict
from orn.stage2_train.model.build import build_object_network
from orn.stage2_train.model.network import ObjectVideoNetwork
from orn.stage2_train.runs.accelerator import build_accelerator
from orn.stage2_train.runs.saved_predictions import Predictions, load_predictions, save_predictions
from orn.stage2_train.settings.model_config import NetworkConfig
from orn.stage2_train.settings.recipe import DataRecipe
from tests.worlds.evaluations import predictions_of

BATCHING = 1e-5  # a clip alone and in a batch, float32

SETTINGS = ClipSettings(
    data=DataRecipe(clip_frames=3, crop=(32, 48), score_threshold=0.1),
    slots=SlotSettings(max_objects=2, background=True, mask_size=7, feature_cells=(2, 3)),
    num_activities=2,
    multi_label=False,
)


@pytest.fixture(scope="module")
def clips(tiny_world) -> ClipDataset:
    """Clips of twelve segments."""
    return ClipDataset(
        tiny_world.dataset.segments, tiny_world.clips(), tiny_world.detections(), SETTINGS
    )


@pytest.fixture(scope="module")
def network() -> ObjectVideoNetwork:
    """A tiny network with random weights."""
    torch.manual_seed(0)
    config = NetworkConfig(num_activities=2, base_width=2, mask_size=7, relation_width=6)
    return build_object_network(config)


def run(network, clips, *, heads="both", batch_size=5, **options) -> Predictions:
    """`predict`, in batches of five."""
    num_clips = options.pop("num_clips", 1)
    return predict(
        network,
        clips,
        LoaderSettings(batch_size=batch_size, **options),
        heads=heads,
        num_clips=num_clips,
        accelerator=build_accelerator("fp32", "cpu"),
    )


def test_heads_and_that_twice_is_bit_identical(network, clips) -> None:
    both, alone = run(network, clips), run(network, clips, heads="object")
    assert list(both.by_head()) == ["two_heads", "activity_head", "object_head"]
    assert list(alone.by_head()) == ["object_head"]
    assert alone.activity_logits is None
    np.testing.assert_array_equal(alone.logits, both.object_logits)


def test_the_forest_and_the_head_over_time_stand_beside_the_network(network, clips) -> None:
    row_of = {segment.id: row for row, segment in enumerate(clips.segments)}

    def told(factor: float):
        return lambda segments: np.array(
            [[factor * row_of[own.id], 1.0] for own in segments], np.float32
        )

    alone = run(network, clips)
    found = predict(
        network,
        clips,
        LoaderSettings(batch_size=5),
        heads="both",
        accelerator=build_accelerator("fp32", "cpu"),
        forest=told(2.0),
        film=told(-3.0),
    )
    rows_N = np.arange(len(clips.segments))
    assert found.forest_logits[:, 0].tolist() == (2 * rows_N).tolist()
    assert found.film_logits[:, 0].tolist() == (-3 * rows_N).tolist()
    expected_N = (alone.logits[:, 0] + 2 * rows_N - 3 * rows_N) / 3
    np.testing.assert_allclose(found.logits[:, 0], expected_N, rtol=1e-5, atol=1e-5)


@pytest.fixture(scope="module")
def whole(network, clips) -> Predictions:
    """Of two clips a segment, by one process."""
    return run(network, clips, num_clips=2)


@pytest.mark.parametrize(("num_processes", "batch_size"), [(1, 16), (2, 7), (3, 1), (15, 7)])
def test_processes_and_batches_change_nothing(
    num_processes, batch_size, network, clips, whole
) -> None:
    options = {"num_clips": 2, "world_size": num_processes, "batch_size": batch_size}
    parts = [run(network, clips, rank=rank, **options) for rank in range(num_processes)]
    together = gathered(parts)
    assert together.ids == whole.ids == tuple(segment.id for segment in clips.segments)
    np.testing.assert_array_equal(together.labels, whole.labels)
    np.testing.assert_allclose(together.logits, whole.logits, atol=BATCHING)


@pytest.mark.parametrize("workers", [0, 2])
def test_segments_one_after_another_give_the_bits_of_clips_one_after_another(
    workers, network, clips
) -> None:
    """The mean over the clips of each segment."""
    network.eval()
    total = np.zeros((2, 12, 2))
    for clip in range(3):
        for start in range(0, 12, 5):
            rows = list(range(start, min(start + 5, 12)))
            batch = collate([clips[ClipRequest(row, clip=clip)] for row in rows])
            with torch.inference_mode():
                output = network(batch, heads="both")
            total[0, rows] += output.object_logits_BA.double().numpy()
            total[1, rows] += output.logits_BA.double().numpy()
    predictions = run(network.train(), clips, num_clips=3, workers=workers)
    assert predictions.ids == tuple(segment.id for segment in clips.segments)
    assert predictions.labels.tolist() == [0, 1] * 6
    np.testing.assert_array_equal(predictions.object_logits, (total[0] / 3).astype(np.float32))
    np.testing.assert_allclose(predictions.logits, total[1] / 3, atol=BATCHING)


@pytest.mark.parametrize("combination", ["mean", "sum"])
def test_predictions_that_were_saved_load(network, clips, tmp_path, combination) -> None:
    kept = dataclasses.replace(run(network, clips), combination=combination)
    for name in ("a.npz", "b.npz"):
        save_predictions(tmp_path / name, kept)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    predictions = load_predictions(tmp_path / "a.npz")
    assert predictions.ids == kept.ids
    with np.load(tmp_path / "a.npz", allow_pickle=False) as arrays:
        assert {"activity_logits", "ids", "labels", "logits", "object_logits"} <= {*arrays}
        np.testing.assert_array_equal(arrays["logits"], kept.logits)
    for name in ("labels", "logits", "activity_logits", "object_logits"):
        np.testing.assert_array_equal(getattr(predictions, name), getattr(kept, name))


def test_no_changed_bit_is_read_in_silence(tmp_path) -> None:
    """Such as one in the name of a head, wherever it stands in the file."""
    path, logits = tmp_path / "p.npz", np.eye(2)
    kept = predictions_of("ab", [0, 1], activity_logits=logits, object_logits=1 - logits)
    save_predictions(path, kept)
    content = path.read_bytes()
    names = (place.start() for place in re.finditer(rb"object_logits", content))
    for place in (*names, *range(0, len(content), 16)):
        flipped = bytearray(content)
        flipped[place] ^= 1
        path.write_bytes(flipped)
        with pytest.raises(CheckpointError, match=r"p\.npz: .* damaged"):
            load_predictions(path)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e38])
def test_logits_that_are_not_finite_are_refused_by_their_segment(tmp_path, value: float) -> None:
    spoilt = np.array([[0, 0, 0], [0, value, 0]], np.float32)
    for head in ("activity_logits", "object_logits"):
        logits = {"activity_logits": np.zeros((2, 3)), head: spoilt}
        save_predictions(tmp_path / "p.npz", predictions_of("ab", [0, 1], **logits))
        with pytest.raises(CheckpointError, match=r"p\.npz: b: expected finite logits of the"):
            load_predictions(tmp_path / "p.npz")
