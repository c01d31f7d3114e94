"""EPIC Kitchens 100's table and file, against plain code written from the rules."""

import json
import runpy
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from orn.stage2_train.evaluation.epic100 import measure_epic100
from orn.stage2_train.runs.run_config import read_config
from orn.stage2_train.runs.saved_predictions import load_predictions
from tests.conftest import ROOT
from tests.reference.epic100_table import epic100_table, softmax
from tests.running import run_orn
from tests.stage2_train.evaluation.made_epic100 import (
    TAIL_NOUNS,
    TAIL_VERBS,
    UNSEEN,
    MadeEpic100,
    make_epic100,
    make_run,
)
from tests.worlds.films import write_signed


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> MadeEpic100:
    return make_epic100(tmp_path_factory.mktemp("data"))


@pytest.fixture
def pair(made, tmp_path) -> tuple[Path, Path]:
    return make_run(tmp_path, made, "verb"), make_run(tmp_path, made, "noun", ids=made.ids[::-1])


def _check_table(made: MadeEpic100, pair: tuple[Path, Path], num_draws: int) -> dict:
    """Every figure against the plain one; the noun run has its segments the other way round."""
    verbs, nouns = (load_predictions(run / "predictions-validation.npz") for run in pair)
    expected = epic100_table(
        verbs.logits.tolist(),
        nouns.logits[::-1].tolist(),
        made.verbs.tolist(),
        made.nouns.tolist(),
        made.persons,
        unseen=UNSEEN,
        tail_verbs=TAIL_VERBS,
        tail_nouns=TAIL_NOUNS,
    )
    report = measure_epic100(*pair, num_draws=num_draws)
    values = {
        (part, target, figure): own and own["value"]
        for part in ("overall", "unseen", "tail")
        for target, figures in report[part].items()
        for figure, own in figures.items()
    }
    assert values == pytest.approx(expected)
    assert len({round(value, 6) for value in expected.values() if value is not None}) > 8
    return report


@pytest.mark.parametrize("steps", [None, 1.0])
def test_the_table_is_that_of_the_definitions(made, tmp_path, steps) -> None:
    nouns = make_run(tmp_path, made, "noun", ids=made.ids[::-1], steps=steps)
    report = _check_table(made, (make_run(tmp_path, made, "verb", steps=steps), nouns), 100)
    assert report["interval"]["over"] == "participants"
    assert report["interval"]["num_groups"] == len(set(made.persons))
    assert report["num_segments"]["tail"]["action"] > report["num_segments"]["tail"]["noun"]
    own = report["overall"]["noun"]["top1"]
    assert own["low"] < own["value"] < own["high"]


def test_the_table_as_text_and_json_and_of_other_runs(pair) -> None:
    text = run_orn("eval-epic100", *pair).stdout
    assert all(part in text for part in ("participants", "overall", "unseen", "tail"))
    table = run_orn("eval-epic100", *pair, "--json").json
    assert table["overall"]["verb"]["top1"]["value"] > 0
    assert "epic100-nouns" in run_orn("eval-epic100", *pair[::-1], exit_code=2).stderr
    write_signed(pair[0], replace(read_config(pair[0]), manifest="epic"))
    run_orn("eval-epic100", *pair, exit_code=2)


def submit(pair: tuple[Path, Path], out: Path) -> dict:
    """What the example writes."""
    runpy.run_path(str(ROOT / "examples" / "epic100_submission.py"))["main"](*pair, out, [1, 4, 3])
    with zipfile.ZipFile(out) as archive:
        return json.loads(archive.read("test.json"))


def test_the_file_keeps_the_rules(made, pair, tmp_path) -> None:
    document = submit(pair, tmp_path / "out.zip")
    assert (document["version"], document["challenge"]) == ("0.2", "action_recognition")
    assert sorted(document["results"]) == sorted(made.ids)
    assert [document[f"sls_{name}"] for name in ("pt", "tl", "td")] == [1, 4, 3]
    for run, kind in zip(pair, ("verb", "noun"), strict=True):
        kept = load_predictions(run / "predictions-validation.npz")
        for row in (0, len(kept.ids) - 1):
            named = document["results"][kept.ids[row]][kind]
            assert list(named) == [*map(str, range(kept.logits.shape[1]))]
            scores = np.array([*named.values()])
            np.testing.assert_allclose(scores, np.log(softmax(kept.logits[row])), rtol=1e-9)
