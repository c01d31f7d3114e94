"""What a network uses: changed batches against plain loops and clips that are read, predictions for
them, and the results in files and reports."""

import json
import re
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from orn.stage2_train.clip_store.motion import reversed_motion
from orn.stage2_train.clip_store.motion_windows import motion_settings
from orn.stage2_train.clips.batches import LoaderSettings, collate
from orn.stage2_train.clips.clip_draws import ClipSettings
from orn.stage2_train.clips.dataset import ClipDataset
from orn.stage2_train.clips.object_slots import SlotSettings
from orn.stage2_train.evaluation.controls import (
    changed_segments,
    control_values,
    one_frame,
    predict_changed,
    reversed_frames,
    without_objects,
)
from orn.stage2_train.evaluation.evaluate_folds import evaluate_folds
from orn.stage2_train.model.build import build_network
from orn.stage2_train.model.inputs import ClipBatch
from orn.stage2_train.runs.accelerator import build_accelerator
from orn.stage2_train.runs.eval_file import ControlResults, read_eval
from orn.stage2_train.runs.saved_predictions import load_predictions, save_predictions
from orn.stage2_train.settings.names import CHANGES
from orn.stage2_train.settings.recipe import DataRecipe, load_recipe
from tests.running import LAPTOP, run_orn
from tests.stage2_train.evaluation.test_pooled import fold
from tests.stage2_train.model.conftest import randomize
from tests.stage2_train.training.conftest import sources_of
from tests.worlds.evaluations import predictions_of
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


def test_one_frame_takes_its_map_motion_and_objects_along_but_times_stay(batch) -> None:
    changed = one_frame(batch)
    assert changed.seconds_BT.equal(batch.seconds_BT) and changed.labels.equal(batch.labels)
    for name in (*PER_FRAME, *OBJECTS):
        for place in range(5):
            assert getattr(changed, name)[:, place].equal(getattr(batch, name)[:, 2])


@pytest.mark.parametrize("background", [True, False])
def test_clips_without_objects_are_those_in_which_nothing_was_detected(
    tiny_world, background
) -> None:
    batch = batch_of(clips_of(tiny_world, background=background))
    expected = batch_of(clips_of(tiny_world, background=background, threshold=1.0))
    assert batch.valid_BTK.sum() > expected.valid_BTK.sum()
    changed = without_objects(batch, has_background=background)
    for name in (*OBJECTS, "frames_BTCHW", "seconds_BT"):
        assert getattr(changed, name).equal(getattr(expected, name)), name


BLIND = (
    *("motion=false", "clique_size=1", "feature_change=false", "relation_frames=same"),
    *("aggregation=mean", "reasoning=mlp", "pair_geometry=false"),
)


@pytest.mark.parametrize("settings", [(), ("motion=false",), BLIND])
def test_heads_tell_a_clip_from_its_reverse(tiny_world, tmp_path, settings) -> None:
    """Those of `small`, by the trend over time alone and with motion; not those of means."""
    store = replace(STORED, motion=motion_settings((1, 2)))
    write_store(tmp_path / "store", [*tiny_world.films.values()], store)
    own = ["backbone=timm/test_efficientnet", *settings]
    overrides = ["data.crop=[32,64]", *(f"model.{text}" for text in own)]
    recipe = load_recipe("small", num_activities=2, overrides=overrides)
    opened = sources_of(replace(tiny_world, store_path=tmp_path / "store"))
    clips = opened.clip_dataset(opened.join("train", recipe), recipe)
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
        assert is_same == (settings is BLIND), head


class ByContent(nn.Module):
    """Predicts one of two classes from the sums of what it reads first in a clip."""

    def forward(self, batch: ClipBatch, heads: str) -> SimpleNamespace:
        first = (batch.frames_BTCHW[:, 0], batch.valid_BTK[:, 0])
        total_B = sum(tensor.flatten(1).long().sum(dim=1) for tensor in first)
        return SimpleNamespace(logits_BA=nn.functional.one_hot(total_B % 2, 2))


def predicted(clips, *, reads_objects: bool = True, **settings) -> np.ndarray:
    return predict_changed(
        ByContent(),
        clips,
        LoaderSettings(**{"batch_size": 5, **settings}),
        heads="both",
        reads_objects=reads_objects,
        accelerator=build_accelerator("fp32", "cpu"),
    )


def test_predictions_are_those_of_one_changed_clip_after_another(tiny_world) -> None:
    clips = clips_of(tiny_world)
    changes = (reversed_frames, one_frame, partial(without_objects, has_background=True))
    changed = [[change(collate([clips[row]])) for change in changes] for row in range(12)]
    expected_NP = [
        [int(ByContent()(one, "both").logits_BA[0, 1]) for one in own] for own in changed
    ]
    np.testing.assert_array_equal(predicted(clips), expected_NP)
    parts = [predicted(clips, rank=rank, world_size=2) for rank in range(2)]
    np.testing.assert_array_equal(np.maximum(*parts), expected_NP)
    assert len(np.unique(expected_NP, axis=0)) > 2
    frames_alone = predicted(clips, reads_objects=False)
    np.testing.assert_array_equal(frames_alone[:, :2], np.array(expected_NP)[:, :2])
    assert (frames_alone[:, 2] == -1).all()


def test_few_clips_are_changed_if_frames_are_read(tiny_world, monkeypatch) -> None:
    monkeypatch.setattr("orn.stage2_train.evaluation.controls.MOST_CHANGED", 7)
    clips = clips_of(tiny_world)
    assert ((predicted(clips) >= 0).sum(axis=0) == 7).all()
    assert len(changed_segments(clips.without_frames())) == 12


def results_of(now: str, then: str, labels: str = "001122") -> ControlResults:
    """Results for clips of three classes, 0 to 2; `.` for a clip that was not changed."""
    then_N = [-1 if mark == "." else int(mark) for mark in then]
    predictions = predictions_of(
        [f"clip {row}" for row in range(len(labels))],
        [int(mark) for mark in labels],
        object_logits=np.eye(3)[[int(mark) for mark in now]],
        when_changed=np.array([then_N, *[[-1] * len(then)] * (len(CHANGES) - 1)]).T,
    )
    values = control_values(predictions, ("open", "close", "hold"))
    return ControlResults.model_validate(values)


def test_differences_and_exchanged_classes() -> None:
    results = results_of(now="001120", then="110122")
    control = results.changes["reversed"]
    assert (results.num_segments, results.unchanged) == (6, pytest.approx(5 / 6))
    assert control.value == pytest.approx(3 / 6)
    assert control.difference == pytest.approx(-2 / 6)
    assert control.low < control.difference < control.high
    assert results.exchanged == [("open", "close", 3)]  # two of one direction, one of the other
    part = results_of(now="001120", then="1.0...")
    assert (part.num_segments, part.unchanged, part.changes["reversed"].value) == (2, 1.0, 0.0)
    assert "2 of 6 clips" in part.title(6) and "of" not in results.title(6)


def test_folds_are_measured_over_all_clips(tmp_path: Path) -> None:
    folds = []
    for name, now, then in (("ann", [0, 0], [0, 1]), ("bob", [1, 1], [0, 0])):
        run = fold(tmp_path / name, np.array(now), np.eye(2)[now].tolist(), name, "top1")
        path = run / "predictions-test.npz"
        columns = np.array([then] + [[-1, -1]] * (len(CHANGES) - 1)).T
        save_predictions(path, replace(load_predictions(path), when_changed=columns))
        folds.append(run)
    results = evaluate_folds(tmp_path, folds).controls
    assert list(results.changes) == ["reversed"]
    assert (results.num_segments, results.unchanged) == (4, 1.0)
    assert results.changes["reversed"].value == 0.25
    assert results.exchanged == [("down", "right", 3)]
    save_predictions(path, replace(load_predictions(path), when_changed=None))
    assert evaluate_folds(tmp_path, folds).controls.num_segments == 2


def test_eval_and_report_say_what_the_run_uses(one_step: Path) -> None:
    text = run_orn("eval", one_step, *LAPTOP).stdout
    file = read_eval(one_step / "eval-validation.json")
    assert list(file.controls.changes) == list(CHANGES)
    assert file.controls.sentence() in text
    assert all(words in text for words in CHANGES.values())
    raw = json.loads((one_step / "eval-validation.json").read_text())
    assert raw["controls"]["unchanged"] == raw["object_head"]["top1"]
    changed = load_predictions(one_step / "predictions-validation.npz").when_changed
    assert changed.shape == (4, len(CHANGES)) and changed.min() >= 0
    run_orn("report", one_step, *LAPTOP)
    html = (one_step / "report.html").read_text("utf-8")
    section = html[html.index('id="used"') :].partition("</section>")[0]
    assert all(words in section for words in CHANGES.values())
    cells = re.findall(r"<td>([\d.]+)</td>", section)
    expected = [file.controls.unchanged, *(c.value for c in file.controls.changes.values())]
    assert cells == [f"{100 * value:.1f}" for value in expected]
