"""`orn curve`: results of several ablations as one, and files that are none."""

import json
from pathlib import Path

import pytest

from orn.shared.errors import ConfigError
from orn.stage2_train.ablation.ablate import joined_curve
from orn.stage2_train.ablation.results import read_csv, write_csv
from tests.running import Ran, run_orn
from tests.stage2_train.ablation.made_results import made_results

FEW = {"orn": (70.0, 71.0), "r18": (60.0, 61.0)}
MANY = {"orn": (40.0, 41.0), "activity-head": (20.0, 20.0), "r18": (30.0, 31.0)}


@pytest.fixture
def points(tmp_path: Path) -> dict[str, Path]:
    files = {"0": tmp_path / "few.csv", "3": tmp_path / "many.csv"}
    for path, percents, seconds in zip(files.values(), (FEW, MANY), (10.0, 20.0), strict=True):
        write_csv(made_results(percents, seconds=seconds), path)
    return files


def curve(points: dict[str, Path], *options: object, exit_code: int = 0) -> Ran:
    words = [f"{value}={path}" for value, path in points.items()]
    return run_orn("curve", "decoys", *words, *options, exit_code=exit_code)


def test_the_command_prints_and_keeps_the_curve(points, tmp_path) -> None:
    out = tmp_path / "curves" / "decoys.v1"
    report = curve(points, "--out", out, "--json").json
    assert report == json.loads(Path(f"{out}.json").read_text())
    assert (report["varied"], report["values"]) == ("decoys", ["0", "3"])
    table = Path(f"{out}.md").read_text()
    assert "| 3 | orn | 40.5 +- 6.4 | 2 | 20 |" in table
    assert "| 3 | exploratory | orn | activity-head | 20.5 +- 6.4 | 0.016 | holds |" in table
    assert Path(f"{out}.png").read_bytes().startswith(b"\x89PNG")
    assert {each.value for each in read_csv(Path(f"{out}.csv"))} == {"0", "3"}
    write_csv(made_results(MANY, num_segments=12.0, chance=0.243), points["3"])
    text = curve(points, "--out", out, "--seconds").stdout
    assert "12 to 100 segments, chance 8.0 to 24.3" in text and "against decoys" in text


def test_results_to_join_are_never_written_over(points, tmp_path) -> None:
    before = points["0"].read_bytes()
    said = curve(points, "--out", tmp_path / "few", exit_code=2).stderr
    assert "few.csv, which this command reads" in said
    assert points["0"].read_bytes() == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["0=a.csv"], "found 1"),
        (["0=a.csv", "b.csv"], "'b.csv'"),
        (["0=a.csv", "0=b.csv"], "'0' twice"),
        (["0=a.csv", "1=a.csv"], "a.csv twice"),
        *((["0=a.csv", "1=b.csv", "--out", out], ".png") for out in ("c.csv", "c.png", "d/..")),
    ],
)
def test_points_and_names_that_are_none_are_refused(words, said, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert said in run_orn("curve", "x", "--out", "out", *words, exit_code=2).stderr


def test_results_of_different_measurements_are_refused(points, tmp_path) -> None:
    text = points["3"].read_text()
    for old, new, message in (
        ("demo,", "vlog,", "wanted the dataset 'demo' as in"),
        (",test,", ",validation,", "wanted the split 'test' as in"),
        (",top1,", ",map,", "wanted the metric 'top1' as in"),
    ):
        points["3"].write_text(text.replace(old, new))
        with pytest.raises(ConfigError, match=message):
            joined_curve("decoys", points, over_seconds=False, out=tmp_path / "out")
    write_csv(made_results(FEW, setting="frames", value="2"), points["3"])
    with pytest.raises(ConfigError, match="wanted results of one setting, found frames varied"):
        joined_curve("decoys", points, over_seconds=False, out=tmp_path / "out")
