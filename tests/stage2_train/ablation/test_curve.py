"""`orn curve`: results of several ablations as one, and files that are none."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from orn.shared.cli import orn
from orn.shared.errors import ConfigError
from orn.stage2_train.ablation.ablate import joined_curve
from orn.stage2_train.ablation.results import read_csv, write_csv
from tests.stage2_train.ablation.made_results import made_results

FEW = {"orn": (70.0, 71.0), "r18": (60.0, 61.0)}
MANY = {"orn": (40.0, 41.0), "activity-head": (20.0, 20.0), "r18": (30.0, 31.0)}


@pytest.fixture
def points(tmp_path: Path) -> dict[str, Path]:
    files = {"0": tmp_path / "few.csv", "3": tmp_path / "many.csv"}
    for path, percents, seconds in zip(files.values(), (FEW, MANY), (10.0, 20.0), strict=True):
        write_csv(made_results(percents, seconds=seconds), path)
    return files


def curve(points: dict[str, Path], *options: str) -> Result:
    words = [f"{value}={path}" for value, path in points.items()]
    return CliRunner().invoke(orn, ["curve", "decoys", *words, *options])


def test_the_command_prints_and_keeps_the_curve(points, tmp_path) -> None:
    out = tmp_path / "curves" / "decoys.v1"
    result = curve(points, "--out", str(out), "--json")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report == json.loads(Path(f"{out}.json").read_text())
    assert (report["varied"], report["values"]) == ("decoys", ["0", "3"])
    table = Path(f"{out}.md").read_text()
    assert table.startswith("| decoys | system | demo | seeds | seconds |\n")
    assert "| 3 | orn | 40.5 +- 6.4 | 2 | 20 |" in table
    assert "| 3 | exploratory | orn | activity-head | 20.5 +- 6.4 | 0.016 | holds |" in table
    assert Path(f"{out}.png").read_bytes().startswith(b"\x89PNG")
    assert {each.value for each in read_csv(Path(f"{out}.csv"))} == {"0", "3"}
    text = curve(points, "--out", str(out), "--seconds").stdout
    assert "against decoys" in text.split("\n")[0]


def test_the_heading_says_on_how_many_segments_where_they_differ(points, tmp_path) -> None:
    write_csv(made_results(MANY, num_segments=12.0, chance=0.243), points["3"])
    result = curve(points, "--out", str(tmp_path / "out"))
    assert "on 12 to 100 segments, chance 8.0 to 24.3, floor 8.0 to 24.3; against decoys" in (
        result.stdout
    )


def test_results_to_join_are_never_written_over(points, tmp_path) -> None:
    before = points["0"].read_bytes()
    result = curve(points, "--out", str(tmp_path / "few"))
    assert result.exit_code == 2
    assert "few.csv, which this command reads" in result.stderr
    assert points["0"].read_bytes() == before


@pytest.mark.parametrize("out", ["curve.csv", "curve.json", "curve.png", ".", "folder/.."])
def test_a_name_that_is_none_of_files_is_refused(points, tmp_path, monkeypatch, out) -> None:
    monkeypatch.chdir(tmp_path)
    result = curve(points, "--out", out)
    assert result.exit_code == 2
    assert "wanted the name of files without .csv, .json, .md or .png" in result.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["0=a.csv"], "wanted at least two VALUE=RESULTS.csv, found 1"),
        (["0=a.csv", "b.csv"], "wanted VALUE=RESULTS.csv, found 'b.csv'"),
        (["0=a.csv", "0=b.csv"], "wanted each value once, found '0' twice"),
        (["0=a.csv", "1=a.csv"], "wanted each file once, found a.csv twice"),
    ],
)
def test_points_that_cannot_be_read_are_refused(words, message, tmp_path) -> None:
    result = CliRunner().invoke(orn, ["curve", "x", *words, "--out", str(tmp_path / "out")])
    assert result.exit_code == 2
    assert message in result.stderr


def test_results_of_different_measurements_are_refused(points, tmp_path) -> None:
    text = points["3"].read_text()
    for old, new, message in (
        ("demo,", "vlog,", "wanted the dataset 'demo' as in"),
        (",test,", ",validation,", "wanted the split 'test' as in"),
        (",top1,", ",map,", "wanted the metric 'top1' as in"),
        (",,two", ",frames,4,two".replace(",4", ""), "its first line|wanted"),
    ):
        points["3"].write_text(text.replace(old, new))
        with pytest.raises(ConfigError, match=message):
            joined_curve("decoys", points, over_seconds=False, out=tmp_path / "out")
    write_csv(made_results(FEW, setting="frames", value="2"), points["3"])
    with pytest.raises(ConfigError, match="wanted results of one setting, found frames varied"):
        joined_curve("decoys", points, over_seconds=False, out=tmp_path / "out")
