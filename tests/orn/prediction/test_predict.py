"""`orn predict` on a tiny network and real videos."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import torch

import orn
from orn.data_manifests.records import Video
from orn.prediction.detecting import detected_by, load_its_detector
from orn.prediction.predict_config import PredictConfig
from orn.prediction.predict_windows import predict_video
from orn.shared.errors import VideoDecodeError
from orn.stage2_train.clip_store.clip_store import ClipStore
from orn.stage2_train.parts.temperatures import Temperatures, write_temperatures
from orn.stage2_train.report import explained_clips
from orn.stage2_train.runs.run_config import ClipRecord, read_config
from orn.stage2_train.runs.run_folder import weights_digest
from orn.stage2_train.runs.saved_predictions import load_predictions
from orn.stage2_train.runs.trained import open_model
from tests.orn.prediction.conftest import (
    first_video,
    predict,
    validation,
    windows,
    with_classes,
)
from tests.running import Ran, run_orn
from tests.stage2_train.training.test_precision import FAST
from tests.worlds.films import Film, write_films_shard, write_signed
from tests.worlds.shards import FakeDetector
from tests.worlds.videos import write_pictures

HEADS = {"two_heads": "logits", "activity_head": "activity_logits", "object_head": "object_logits"}


def check_against_eval(ran: Ran, run: Path, frames: list[int]) -> None:
    """Logits and frames of each window are those of the segment."""
    kept = load_predictions(run / "predictions-validation.npz")
    records = windows(ran)
    assert len(records) == len(kept.ids) == 4
    for row, window in enumerate(records):
        assert window["frames"] == frames
        assert sum(window["classes"].values()) == pytest.approx(1, abs=1e-4)
        for head, name in HEADS.items():
            logits, expected = window["logits"][head], getattr(kept, name)[row]
            np.testing.assert_allclose(logits, expected, atol=1e-4, rtol=0)


def in_float32(trained, folder: Path, **changes: Any) -> Path:
    """Copy the run without bfloat16, whose rounding depends on the size of a batch."""
    run = shutil.copytree(trained.run, folder / "run")
    config = read_config(run)
    recipe = replace(config.recipe, precision="fp32")
    places = replace(config.recorded_paths, clips=changes.pop("store", trained.clips))
    write_signed(run, replace(config, recipe=recipe, recorded_paths=places, **changes))
    run_orn("eval", run, "--workers", "0", "--device", "cpu")
    return run


def test_predictions_are_those_of_eval(trained, tmp_path, caplog) -> None:
    """Though eval reads frames and objects from stores."""
    run = in_float32(trained, tmp_path)
    words = (*validation(trained), "--shards", trained.shards, "--json", "--pairs", "2")
    result = predict(trained, *words, model=run)
    check_against_eval(result, run, [0, 2, 4, 6])
    assert "predict: 4/4 videos" in caplog.text
    window = windows(result)[0]
    names = [detection["name"] for detection in window["objects"][0]]
    assert set(names[:-1]) <= {"person", "bottle", "cup"}
    assert names[-1] == "background"
    (pair, _) = window["pairs"]
    earlier, later = pair["objects"]
    assert earlier["second"] < later["second"]
    for detection in window["objects"][0]:  # in pixels of the video
        x1, y1, x2, y2 = detection["box"]
        assert 0 <= x1 <= x2 <= 80
        assert 0 <= y1 <= y2 <= 60


def test_all_parts_of_a_model_predict_as_they_are_evaluated(trained, tmp_path) -> None:
    """Network and forest, each divided by its temperature once, also from an exported folder."""
    run, model = tmp_path / "run", tmp_path / "model"
    recipe = trained.run.parent / "recipe.toml"
    places = ("--recipe", recipe, "--run", run, "--clips", trained.clips)
    words = (*places, "--data", trained.data, "--shards", trained.shards, "--workers", "0")
    parts = ("--set", 'ensemble=["network","forest"]', "--set", "precision=fp32")
    run_orn("train", trained.run.parent / "tiny.toml", *words, "--device", "cpu", *parts)
    temperatures = Temperatures(
        network=2.0,
        forest=0.5,
        num_segments=40,
        made_from={"weights": weights_digest(run)},
    )
    write_temperatures(run, temperatures)
    manifest = (trained.run.parent / "tiny.toml").read_text()
    again = run.parent / "again.toml"  # to which the temperatures are applied
    again.write_text(manifest.replace('name = "tiny"', 'name = "again"'))
    run_orn("eval", run, "--dataset", again, *places[4:], *words[-6:], "--device", "cpu")
    kept = load_predictions(run / "predictions-validation-again.npz")
    run_orn("export", run, model)
    for folder in (run, model):
        videos = [*validation(trained), "--shards", trained.shards, "--json"]
        for row, window in enumerate(windows(predict(trained, *videos, model=folder))):
            logits = {name: np.array(own, np.float64) for name, own in window["logits"].items()}
            for name, expected_NA in kept.by_head().items():
                np.testing.assert_allclose(logits[name], expected_NA[row], atol=1e-4, rtol=0)
            network_A, forest_A = logits["two_heads"] / 2, logits["forest"] / 0.5
            chances_A = np.exp(network_A) / np.exp(network_A).sum()
            chances_A = chances_A * np.exp(forest_A) / np.exp(forest_A).sum()
            chances_A = np.sqrt(chances_A) / np.sqrt(chances_A).sum()
            classes = [window["classes"][name] for name in orn.load_model(folder).classes]
            assert classes == pytest.approx(chances_A, abs=1e-4)


def test_frames_are_those_of_the_store_of_the_training(trained, tmp_path) -> None:
    """Also in windows, of which some hold none of its frames, and from an exported folder."""
    store, model = tmp_path / "other", tmp_path / "model"
    manifest = trained.run.parent / "tiny.toml"
    size = ("--size", "36x48", "--rate", "4")
    run_orn("clips", manifest, "--data", trained.data, "--out", store, *size)
    lengths = {"window_seconds": 0.8, "longest_seconds": 0.8}
    clips = ClipRecord(frames=ClipStore(store).settings, **lengths)
    run = in_float32(trained, tmp_path, store=store, clips=clips)
    run_orn("export", run, model)
    videos = [*validation(trained), "--shards", trained.shards, "--json"]
    result = predict(trained, *videos, model=run)
    check_against_eval(result, run, [0, 2, 5, 7])
    assert predict(trained, *videos, model=model).stdout == result.stdout
    parts = predict(trained, *videos, "--window", "0.15", model=model)
    assert len(parts.lines) > 4


def test_a_network_in_bfloat16_is_explained_in_every_output(trained, tmp_path, monkeypatch) -> None:
    """`trained` is in bfloat16, as is every recipe for real data, where that is fast."""
    film = (validation(trained)[0], "--shards", trained.shards)
    outputs = [tmp_path / name for name in ("out.html", "out.mp4")]
    options = zip(("--html", "--overlay"), outputs, strict=True)
    words = (*(word for pair in options for word in pair), "--pairs", "2", "--json")
    result = predict(trained, *film, *words)
    assert [len(window["pairs"]) for window in windows(result)] == [2]
    assert all(path.stat().st_size for path in outputs)
    logits = []
    for is_fast in (True, False):
        monkeypatch.setattr(FAST, lambda device, is_fast=is_fast: is_fast)
        (window,) = windows(predict(trained, *film, "--json"))
        logits.append(window["logits"]["two_heads"])
    assert logits[0] != logits[1] == pytest.approx(logits[0], abs=0.05)


def test_weights_of_the_first_phase_are_explained_by_their_own_classifier(
    trained, tmp_path
) -> None:
    """Those of a run that was interrupted before its first validation in phase 2."""
    manifest, data = trained.run.parent / "tiny.toml", ("--data", trained.data)
    places = ("--recipe", trained.run.parent / "recipe.toml", "--run", tmp_path / "run")
    shards = ("--shards", trained.shards)
    words = (*places, *data, *shards, "--clips", trained.clips, "--workers", "0", "--device", "cpu")
    changes = ("--set", "model.variant=authors", "--max-steps", "2")
    run_orn("train", manifest, *words, *changes)
    model = orn.load_model(tmp_path / "run", device="cpu")
    assert (model.heads, model.network.heads) == ("object", "both")
    film = validation(trained)[0]
    result = predict(trained, film, *shards, "--json", "--pairs", "2", model=model.path)
    (window,) = windows(result)
    assert ([*window["logits"]], window["decided_by"]) == (["object_head"], None)
    folders = {"shards": trained.shards, "clips": trained.clips, "recipe": places[1]}
    opened = orn.open_dataset(manifest, data=trained.data, **folders)
    [batch] = opened.batches("validation")
    explained = orn.explain(model, batch)
    torch.testing.assert_close(explained.output.logits_BA, model.output(batch).logits_BA)
    drops = [pair.logit_drop for pair in explained.pairs_of(0, 2)]
    assert [pair["logit_drop"] for pair in window["pairs"]] == pytest.approx(drops, rel=1e-3)
    with patch.object(explained_clips, "explain", wraps=explained_clips.explain) as explain:
        run_orn("report", model.path, *words[-4:])
    assert [call.kwargs["heads"] for call in explain.call_args_list] == ["object"]


def test_long_videos_are_predicted_in_windows(trained) -> None:
    """And a line says once that their ends are no times of activities."""
    words = (*validation(trained)[:2], "--shards", trained.shards, "--window", "0.4")
    result = predict(trained, *words, "--json")
    assert [line["kind"] for line in result.lines] == ["window"] * 4
    times = [(line["start"], line["end"]) for line in result.lines]
    assert np.array(times) == pytest.approx(np.array([(0, 0.4), (0.4, 0.8)] * 2))
    for line in result.lines:
        assert line["labels"] == [line["label"]] == [next(iter(line["classes"]))]
    table = predict(trained, *words)
    assert table.stdout.count("0.40 - 0.80 s") == 2
    assert [ran.stderr.count("--intervals") for ran in (result, table)] == [1, 1]
    assert "--intervals" not in predict(trained, *words[:-2]).stderr


def test_predictions_of_several_videos_keep_no_objects(trained) -> None:
    films = tuple(validation(trained)[:2])
    config = PredictConfig(
        run=trained.run, videos=films, shards=trained.shards, window=0.4, pairs=2, device="cpu"
    )
    done = orn.predict(config)
    assert [*done.windows] == [str(film) for film in films]
    for own in done.windows.values():
        assert [window.start_seconds for window in own] == pytest.approx([0, 0.4])
        assert not any(window.clip.objects or window.clip.pairs for window in own)


def test_classes_of_a_multi_label_model_have_at_least_the_threshold(trained) -> None:
    model = with_classes(open_model(trained.run, device="cpu"), "a", "b", task="multi-label")
    with first_video(trained, model) as (video, detections):
        for threshold, labels in ((0.0, (0, 1)), (1.0, ())):
            [window] = predict_video(model, video, detections, threshold=threshold)
            assert window.labels == labels


def test_videos_are_detected_and_a_broken_one_does_not_end_it(
    trained, monkeypatch, tmp_path
) -> None:
    monkeypatch.setattr("orn.prediction.predict_job.load_its_detector", lambda *_: FakeDetector())
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    whole = list(trained.videos.values())[:9]
    broken, absent = tmp_path / "broken.mp4", tmp_path / "absent.mp4"
    broken.write_bytes(b"not a video at all")
    videos = (*whole[:4], broken, *whole[4:], absent)
    result = predict(trained, *videos, "--json", exit_code=3)
    records = [(line["kind"], Path(line["video"])) for line in result.lines]
    expected = [("window", path) for path in whole]
    assert records == [*expected[:4], ("failed", broken), *expected[4:], ("failed", absent)]
    assert "2 of 11 videos failed" in result.stderr
    assert f"{broken}: " in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["broken.mp4"]


def test_a_video_that_fails_midway_leaves_no_part_of_it_in_tables(trained, tmp_path) -> None:
    film = Film(id="long", boxes_FN4=np.full((30, 3, 4), [10, 10, 30, 30]))
    pictures = [film.image(frame) for frame in range(30)]
    video = write_pictures(tmp_path / "long.mp4", pictures, rate=10)
    shard = tmp_path / "shards" / "shard-000000.zarr.zip"
    write_films_shard(shard, [film.in_video(video)], frames=slice(27))
    words = ["--shards", shard.parent, "--window", "0.3"]
    records = predict(trained, video, *words, "--json", exit_code=3).lines
    assert {"window", "failed"} <= {record["kind"] for record in records}
    assert predict(trained, video, *words, exit_code=3).stdout == ""


def test_a_video_whose_overlay_fails_is_predicted(trained, monkeypatch, tmp_path) -> None:
    def fails(*_) -> None:
        raise VideoDecodeError("times are too far apart", where="frame 3")

    monkeypatch.setattr("orn.prediction.prediction_overlay.draw_windows", fails)
    videos, words = [*trained.videos.values()][:2], ("--shards", trained.shards)
    plain = predict(trained, *videos, *words)
    overlays = tmp_path / "copies"
    drawn = predict(trained, *videos, *words, "--overlay", overlays, exit_code=3)
    assert drawn.stdout == plain.stdout != ""
    for video in videos:
        assert f"{overlays / video.name} was not written: frame 3: times" in drawn.stderr


@pytest.mark.mmdet
@pytest.mark.parametrize(("rate", "places"), [(None, range(8)), (2, [0, 5])])
def test_the_detector_looks_at_the_frames_that_training_had(trained, rate, places) -> None:
    model = open_model(trained.run, device="cpu")
    detector = replace(model.config.detector, frame_rate=rate)
    model = replace(model, config=replace(model.config, detector=detector))
    request = PredictConfig(
        run="", videos=(), config="mask_rcnn_demo", any_detector=True, device="cpu"
    )
    objects = detected_by(load_its_detector(model, request))
    id, file = next(iter(trained.videos.items()))
    with objects(Video(id=id, path=file), lambda _: None) as (_, shards):
        assert shards.video(id).frame_indices.tolist() == list(places)
