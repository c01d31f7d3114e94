"""What a network uses: predictions for changed clips, and the results in files and reports."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from orn.stage2_train.clips.batches import LoaderSettings, collate
from orn.stage2_train.evaluation import measure_controls
from orn.stage2_train.evaluation.controls import controls
from orn.stage2_train.evaluation.evaluate import evaluate_folds
from orn.stage2_train.evaluation.measure_controls import (
    classes_when_changed,
    control_values,
    predict_changed,
    shuffled_batches,
)
from orn.stage2_train.model.build import build_object_network
from orn.stage2_train.runs.accelerator import build_accelerator
from orn.stage2_train.runs.control_results import CHANGES, ControlResults
from orn.stage2_train.runs.eval_file import read_eval
from orn.stage2_train.runs.predictions import load_predictions, save_predictions
from orn.stage2_train.settings.model_config import NetworkConfig
from tests.running import LAPTOP, run_orn
from tests.stage2_train.evaluation.test_controls import clips_of
from tests.worlds.evaluations import evaluation_of, predictions_of
from tests.worlds.films import TINY_RECORD, write_tiny_model

ROUND_OFF = 1e-5  # a clip in batches of different sizes, float32


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    config = NetworkConfig(num_activities=2, base_width=2, mask_size=7, relation_width=6)
    return build_object_network(config)


def changed_logits(network, clips, *, reads_objects: bool = True, **settings):
    return predict_changed(
        network,
        clips,
        LoaderSettings(**{"batch_size": 5, **settings}),
        heads="both",
        reads_objects=reads_objects,
        accelerator=build_accelerator("fp32", "cpu"),
    )


def test_logits_of_changed_clips_are_those_of_one_clip_after_another(network, tiny_world) -> None:
    clips = clips_of(tiny_world)
    changed = changed_logits(network, clips)
    assert list(changed) == list(CHANGES)
    donors = {}
    for rows in shuffled_batches(clips, 5):
        donors |= dict(zip(rows.tolist(), np.roll(rows, -1).tolist(), strict=True))
    changes = controls(reads_objects=True, has_background=True)
    for row in range(len(clips)):
        for name, change in changes.items():
            places = [row, donors[row]] if name == "other_objects" else [row]
            inputs = change(collate([clips[place] for place in places]))
            with torch.inference_mode():
                alone_A = network.eval()(inputs).logits_BA[0].numpy()
            np.testing.assert_allclose(changed[name][row], alone_A, atol=ROUND_OFF)
    frames_alone = changed_logits(network, clips, reads_objects=False)
    assert list(frames_alone) == ["reversed", "shuffled", "one_frame"]


@pytest.mark.parametrize(("batch_size", "sizes"), [(1, {2}), (5, {4}), (11, {6}), (100, {12})])
def test_every_clip_gets_the_objects_of_another(tiny_world, batch_size, sizes) -> None:
    clips = clips_of(tiny_world)
    batches = shuffled_batches(clips, batch_size)
    assert sorted(np.concatenate(batches).tolist()) == list(range(12))
    assert {len(rows) for rows in batches} == sizes
    assert np.concatenate(batches).tolist() != list(range(12))


def test_each_process_changes_its_batches(network, tiny_world) -> None:
    clips = clips_of(tiny_world)
    whole = changed_logits(network, clips)
    parts = [changed_logits(network, clips, rank=rank, world_size=2) for rank in range(2)]
    for name, logits_NA in whole.items():
        own = [~np.isnan(part[name]).any(axis=1) for part in parts]
        assert (own[0] ^ own[1]).all()
        np.testing.assert_array_equal(
            np.where(own[0][:, None], *(p[name] for p in parts)), logits_NA
        )


def test_few_clips_are_changed_if_frames_are_read(network, tiny_world, monkeypatch) -> None:
    monkeypatch.setattr(measure_controls, "MOST_CLIPS", 7)
    clips = clips_of(tiny_world)
    assert sum(map(len, shuffled_batches(clips, 5))) == 7
    changed = changed_logits(network, clips)
    assert ((classes_when_changed(changed) >= 0).sum(axis=0) == 7).all()
    without_frames = clips.without_frames()
    assert sum(map(len, shuffled_batches(without_frames, 5))) == 12


def one_hot(classes: str) -> np.ndarray:
    """Logits of three classes, 0 to 2; `.` for a clip that was not changed."""
    rows = [[np.nan] * 3 if name == "." else np.eye(3)[int(name)] for name in classes]
    return np.array(rows, np.float32)


def results_of(now: str, then: str, labels: str = "001122") -> ControlResults:
    ids = [f"clip {row}" for row in range(len(labels))]
    predictions = predictions_of(ids, [int(x) for x in labels], object_logits=one_hot(now))
    values = control_values(predictions, {"reversed": one_hot(then)}, ("open", "close", "hold"))
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


def test_the_sentence_says_what_order_is_worth_only_if_it_is_shown() -> None:
    labels = "0" * 20 + "1" * 20
    turned = results_of(labels, "1" * 20 + "0" * 15 + "1" * 5, labels)
    low, high = (
        100 * end for end in (-turned.changes["reversed"].high, -turned.changes["reversed"].low)
    )
    worth = f"worth 87.5 points [{low:.1f}, {high:.1f}]: reversing them turns open into close (35)."
    assert worth in turned.sentence()
    assert "No use of the order" in results_of(labels, labels, labels).sentence()
    better = results_of("1" * 20 + labels[20:], labels, labels)
    assert "No use of the order" in better.sentence()
    assert "unknown" in results_of("0", "1", "0").sentence()


def test_folds_are_measured_over_all_clips(tmp_path: Path) -> None:
    folds = []
    for name, now, then in (("ann", "00", "01"), ("bob", "11", "00")):
        columns = [[int(mark) for mark in then]] + [[-1, -1]] * (len(CHANGES) - 1)
        predictions = predictions_of(
            [f"{name} {row}" for row in range(2)],
            [int(mark) for mark in now],
            object_logits=one_hot(now)[:, :2],
            groups=(name,) * 2,
            grouped_by="participants",
            when_changed=np.array(columns).T,
        )
        run = tmp_path / name
        write_tiny_model(run, dataset=TINY_RECORD)
        save_predictions(run / "predictions-test.npz", predictions)
        assert (
            load_predictions(run / "predictions-test.npz").when_changed == np.array(columns).T
        ).all()
        evaluation_of(predictions).write(run / "eval-test.json")
        folds.append(run)
    results = evaluate_folds(tmp_path, folds).controls
    assert list(results.changes) == ["reversed"]
    assert (results.num_segments, results.unchanged) == (4, 1.0)
    assert results.changes["reversed"].value == 0.25
    assert results.exchanged == [("down", "right", 3)]
    unmeasured = replace(load_predictions(folds[1] / "predictions-test.npz"), when_changed=None)
    save_predictions(folds[1] / "predictions-test.npz", unmeasured)
    assert evaluate_folds(tmp_path, folds).controls.num_segments == 2


def test_multiple_labels_have_differences_of_average_precision() -> None:
    labels_NA = np.array([[1, 0], [0, 1], [1, 0], [0, 1]], np.float32)
    ids = [f"clip {row}" for row in range(4)]
    predictions = predictions_of(ids, labels_NA, object_logits=labels_NA)
    values = control_values(predictions, {"reversed": 1 - labels_NA}, ("open", "close"))
    results = ControlResults.model_validate(values)
    assert (results.unchanged, results.exchanged) == (1.0, [])
    assert results.changes["reversed"].value == 0.5


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


@pytest.mark.parametrize("options", [("--split", "train"), ("--views", "2")])
def test_training_splits_and_several_views_have_no_controls(one_step: Path, options) -> None:
    assert "controls" not in run_orn("eval", one_step, *LAPTOP, *options, "--json").json
