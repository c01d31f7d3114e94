"""Changed batches, against plain loops over clips and frames and against clips that are read."""

from dataclasses import replace

import pytest
import torch

from orn.stage2_train.clip_store.motion import reversed_motion
from orn.stage2_train.clip_store.motion_windows import motion_settings
from orn.stage2_train.clips.batches import collate
from orn.stage2_train.clips.dataset import ClipDataset
from orn.stage2_train.clips.interfaces import ClipSettings
from orn.stage2_train.clips.objects import SlotSettings
from orn.stage2_train.evaluation.controls import (
    controls,
    objects_of_another_clip,
    one_frame,
    reversed_frames,
    shuffled_frames,
)
from orn.stage2_train.model.build import build_network
from orn.stage2_train.model.inputs import ClipBatch
from orn.stage2_train.settings.recipe import DataRecipe, load_recipe
from tests.stage2_train.model.conftest import randomize
from tests.stage2_train.training.conftest import sources_of
from tests.worlds.films import STORED, write_store

PER_FRAME = ("frames_BTCHW", "maps_BTChw", "motion_BTChw")
OBJECTS = (
    *("masks_BTKhw", "coverage_BTKhw", "boxes_BTK4"),
    *("class_scores_BTKS", "detector_labels_BTK", "valid_BTK"),
)


def clips_of(world, *, background: bool = True, threshold: float = 0.1) -> ClipDataset:
    settings = ClipSettings(
        data=DataRecipe(clip_frames=5, crop=(32, 48), score_threshold=threshold),
        slots=SlotSettings(max_objects=3, background=background, mask_size=7, feature_cells=(2, 3)),
        num_activities=2,
        multi_label=False,
    )
    return ClipDataset(world.dataset.segments, world.clips(), world.detections(), settings)


def batch_of(clips: ClipDataset) -> ClipBatch:
    return collate([clips[row] for row in range(4)])


@pytest.fixture
def batch(tiny_world) -> ClipBatch:
    """Clips at irregular times, with drawn maps and motion."""
    batch = batch_of(clips_of(tiny_world))
    generator = torch.Generator().manual_seed(0)
    maps, motion = (
        torch.randn((4, 5, channels, 2, 3), generator=generator).half() for channels in (6, 32)
    )
    seconds_BT = torch.rand((4, 5), generator=generator).cumsum(1)
    seconds_BT = seconds_BT - seconds_BT[:, :1]
    return replace(batch, maps_BTChw=maps, motion_BTChw=motion, seconds_BT=seconds_BT)


def test_reversed_clips_are_those_played_backwards(batch) -> None:
    changed = reversed_frames(batch)
    for clip in range(4):
        for place in range(5):
            back = 4 - place
            for name in ("frames_BTCHW", "maps_BTChw", *OBJECTS):
                assert getattr(changed, name)[clip, place].equal(getattr(batch, name)[clip, back])
            motion_Chw = reversed_motion(batch.motion_BTChw[clip, back].numpy())
            assert changed.motion_BTChw[clip, place].equal(torch.from_numpy(motion_Chw))
            elapsed = batch.seconds_BT[clip, 4] - batch.seconds_BT[clip, back]
            assert changed.seconds_BT[clip, place] == elapsed
    assert changed.ids == batch.ids and changed.labels.equal(batch.labels)
    twice = reversed_frames(changed)
    assert all(getattr(twice, name).equal(getattr(batch, name)) for name in (*PER_FRAME, *OBJECTS))


@pytest.mark.parametrize("change", [shuffled_frames, one_frame])
def test_frames_keep_their_maps_motion_and_objects_but_times_stay(batch, change) -> None:
    changed = change(batch)
    assert changed.seconds_BT.equal(batch.seconds_BT) and changed.labels.equal(batch.labels)
    orders = []
    for clip in range(4):
        places = [
            next(
                place
                for place in range(5)
                if batch.motion_BTChw[clip, place].equal(changed.motion_BTChw[clip, now])
            )
            for now in range(5)
        ]
        for now, place in enumerate(places):
            for name in (*PER_FRAME, *OBJECTS):
                assert getattr(changed, name)[clip, now].equal(getattr(batch, name)[clip, place])
        orders.append(tuple(places))
    if change is one_frame:
        assert set(orders) == {(2,) * 5}
    else:
        assert all(sorted(order) == [0, 1, 2, 3, 4] for order in orders)
        assert len(set(orders)) > 1
        alone = change(collate_rows(batch, [2]))  # a clip's order depends on nothing but its id
        assert alone.motion_BTChw[0].equal(changed.motion_BTChw[2])


def collate_rows(batch: ClipBatch, rows: list[int]) -> ClipBatch:
    names = (*PER_FRAME, *OBJECTS, "seconds_BT", "labels")
    parts = {name: getattr(batch, name)[rows] for name in names}
    return replace(batch, ids=tuple(batch.ids[row] for row in rows), **parts)


@pytest.mark.parametrize("background", [True, False])
def test_clips_without_objects_are_those_in_which_nothing_was_detected(
    tiny_world, background
) -> None:
    batch = batch_of(clips_of(tiny_world, background=background))
    expected = batch_of(clips_of(tiny_world, background=background, threshold=1.0))
    assert batch.valid_BTK.sum() > expected.valid_BTK.sum()
    change = controls(reads_objects=True, has_background=background)["no_objects"]
    changed = change(batch)
    for name in (*OBJECTS, "frames_BTCHW", "seconds_BT"):
        assert getattr(changed, name).equal(getattr(expected, name)), name


def test_objects_of_another_clip_are_those_of_the_next(batch) -> None:
    changed = objects_of_another_clip(batch)
    for clip in range(4):
        for name in OBJECTS:
            assert getattr(changed, name)[clip].equal(getattr(batch, name)[(clip + 1) % 4])
        for name in (*PER_FRAME, "seconds_BT"):
            assert getattr(changed, name)[clip].equal(getattr(batch, name)[clip])


@pytest.mark.parametrize(
    ("overrides", "blind"),
    [
        (("model.motion=true",), ()),
        (("model.motion=false",), ()),
        (
            (
                "model.motion=false",
                "model.aggregation=mean_and_deviation",
                "model.reasoning=mean_and_deviation",
                "model.clique_size=1",
                "model.feature_change=false",
                "model.relation_frames=same",
                "model.pair_geometry=false",
            ),
            ("activity_head", "object_head"),
        ),
    ],
)
def test_heads_tell_a_clip_from_its_reverse(tiny_world, tmp_path, overrides, blind) -> None:
    """Those of `small`, by the trend over time alone and with motion; not those of means."""
    store = replace(STORED, motion=motion_settings((1, 2)))
    write_store(tmp_path / "store", [*tiny_world.films.values()], store)
    maps = ("model.backbone=timm/test_efficientnet", "data.crop=[32,64]")
    recipe = load_recipe(
        "small",
        num_activities=2,
        overrides=(
            *maps,
            "model.aggregation=mean_deviation_trend",
            "model.reasoning=mean_deviation_trend",
            *overrides,
        ),
    )
    sources = sources_of(replace(tiny_world, store_path=tmp_path / "store"))
    clips = sources.clip_dataset(sources.join("train", recipe), recipe)
    batch = collate([clips[row] for row in range(4)])
    torch.manual_seed(0)
    network = build_network(recipe.model).eval()
    randomize(network)
    with torch.inference_mode():
        forwards, backwards = (
            network(clips).by_head() for clips in (batch, reversed_frames(batch))
        )
    for head in ("activity_head", "object_head"):
        is_same = torch.allclose(forwards[head], backwards[head], rtol=1e-3, atol=1e-4)
        assert is_same == (head in blind), head
