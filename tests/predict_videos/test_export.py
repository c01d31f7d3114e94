"""`orn export`: what the folder predicts, says and refuses."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from orn.stage2_train.evaluation.predictions import load_predictions
from orn.stage2_train.runs.run_config import read_config, write_config
from tests.predict_videos.conftest import evaluate_as_new, predict, validation
from tests.running import run_orn


@pytest.fixture(scope="module")
def exported(trained, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("exported") / "model"
    run_orn("export", trained.run, folder)
    return folder


def test_an_exported_folder_predicts_bit_for_bit_the_same(
    trained, exported, tmp_path, monkeypatch
) -> None:
    """Elsewhere, from where neither the run nor its data is seen."""
    videos = [*validation(trained), "--shards", trained.shards, "--json", "--pairs", "3"]
    own = predict(trained, *videos)
    moved = tmp_path / "moved"
    shutil.copytree(exported, moved)
    monkeypatch.chdir(tmp_path)
    found = predict(trained, *videos, model=moved)
    assert found.stdout == own.stdout
    assert '"pairs": [{' in found.stdout


def test_eval_takes_an_exported_folder(trained, exported, tmp_path) -> None:
    moved = tmp_path / "moved"
    shutil.copytree(exported, moved)
    evaluate_as_new(trained, moved)
    wanted = load_predictions(trained.run / "predictions-validation.npz").logits
    found = load_predictions(moved / "predictions-validation.npz").logits
    np.testing.assert_array_equal(found, wanted)


def test_an_interrupted_export_is_said_and_finished(trained, exported, tmp_path) -> None:
    cut = Path(shutil.copytree(exported, tmp_path / "cut"))
    for name in ("README.md", "model.safetensors"):
        (cut / name).unlink()
    videos = [*validation(trained), "--shards", trained.shards, "--json"]
    said = predict(trained, *videos, model=cut, exit_code=1).stderr
    assert f"{cut}: " in said and "no best weights" in said
    run_orn("export", trained.run, cut)
    assert {path.name for path in cut.iterdir()} == {path.name for path in exported.iterdir()}
    assert predict(trained, *videos, model=cut).stdout == predict(trained, *videos).stdout


def test_the_card_tells_what_was_measured(exported, trained) -> None:
    card = (exported / "README.md").read_text()
    report = json.loads((trained.run / "eval-validation.json").read_text())
    assert f"| validation | two_heads | {report['two_heads']['top1']:.4f} |" in card
    assert re.search(r"\| \d\.\d{4} to \d\.\d{4} over 4 videos \| 4 \| 0\.5000 \|", card)
    assert "film" not in card
    assert "tiny, 8 training segments" in card and "right, down." in card
    assert str(trained.run) not in card + (exported / "config.json").read_text()


def test_the_card_says_how_a_figure_came_about(trained, tmp_path) -> None:
    run = shutil.copytree(trained.run, tmp_path / "run")
    path = run / "eval-validation.json"
    found = json.loads(path.read_text()) | {"trained_on": True, "num_unsure": 3}
    found["two_heads"]["map_unsure_negative"] = 0.125
    for counted, said in (
        ("negative", "could not tell (3) count as negative"),
        ("left_out", "| validation, map_unsure_negative (trained on) | two_heads | 0.1250 |"),
    ):
        path.write_text(json.dumps(found | {"unsure_in_evaluation": counted}))
        run_orn("export", run, tmp_path / counted)
        card = (tmp_path / counted / "README.md").read_text()
        assert "| validation (trained on) | two_heads | " in card
        assert said in card


def test_a_configuration_that_a_stranger_names_is_not_run(trained, exported, tmp_path) -> None:
    """As Python files, which configurations of detectors are."""
    moved = tmp_path / "moved"
    shutil.copytree(exported, moved)
    ran = tmp_path / "ran"
    (moved / "evil.py").write_text(f"open({str(ran)!r}, 'w')\n")
    (moved / "detector.pth").write_bytes(b"weights")
    config = read_config(moved)
    detector = replace(config.detector, config_name=str(moved / "evil.py"))
    write_config(moved, replace(config, detector=detector))
    (video, *_) = validation(trained)
    predict(trained, video, "--any-detector", model=moved, exit_code=1)
    assert not ran.exists()
