"""`orn curve`: reports of several ablations as one, and files that are none."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from shared.cli import orn
from shared.errors import ConfigError
from stage2_train.ablation.curve import joined_curve


def _report(
    split: str = "test", dataset: str = "demo", num_segments: int = 100, seeds: int = 3, **percent
) -> dict:
    """What `orn ablate` writes: the first system is expected to be better than the others."""
    first, *others = percent
    return {
        "table": "2",
        "dataset": dataset,
        "split": split,
        "metric": "top1",
        "num_segments": num_segments,
        "chance": 8.3,
        "systems": [
            {
                "system": name,
                "mean": mean,
                "half_width": 1.5,
                "num_seeds": seeds,
                "clips_per_second": 100.0,
            }
            for name, mean in percent.items()
        ],
        "orderings": [
            {
                "better": first,
                "worse": other,
                "verdict": "holds",
                "mean": percent[first] - percent[other],
                "half_width": 2.0,
                "num_seeds": seeds,
            }
            for other in others
        ],
    }


@pytest.fixture
def write(tmp_path: Path):
    def written(name: str, content: object) -> Path:
        path = tmp_path / f"{name}.json"
        path.write_text(json.dumps(content))
        return path

    return written


def curve(*arguments: str) -> Result:
    return CliRunner().invoke(orn, ["curve", *arguments])


def test_the_systems_that_all_reports_have_in_the_order_of_the_first(write) -> None:
    few = write("few", _report(orn=70.0, r18=60.0, i3d=50.0))
    many = write("many", _report(orn=40.0, trn=10.0, r18=30.0))
    report = joined_curve("decoys", {"0": few, "3": many})
    assert report["varied"] == "decoys"
    assert report["values"] == ["0", "3"]
    for value, mean in (("0", 60.0), ("3", 30.0)):
        systems = report["by_value"][value]["systems"]
        assert [row["system"] for row in systems] == ["orn", "r18"]
        assert systems[1]["mean"] == mean
        assert [row["worse"] for row in report["by_value"][value]["orderings"]] == ["r18"]


def test_the_command_prints_and_keeps_the_curve(write, tmp_path) -> None:
    few = write("few", _report(orn=70.0, r18=60.0))
    many = write("many", _report(orn=40.0, r18=30.0))
    out = tmp_path / "curves" / "decoys.v1"
    result = curve("decoys", f"0={few}", f"3={many}", "--out", str(out), "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == json.loads(Path(f"{out}.json").read_text())
    assert "| 3 | 40.0 +- 1.5 | 30.0 +- 1.5 |" in Path(f"{out}.md").read_text()
    assert Path(f"{out}.png").read_bytes().startswith(b"\x89PNG")
    text = curve("decoys", f"0={few}", f"3={many}", "--out", str(out)).stdout
    assert text.startswith("demo, test: top1 in percent on 100 segments against decoys")


def test_differences_are_those_of_the_pairs_that_all_reports_have(write) -> None:
    first = _report(orn=70.0, r18=60.0, r50=50.0)
    second = _report(orn=40.0, r18=30.0, r50=10.0)
    del first["orderings"][1]
    second["orderings"].reverse()
    report = joined_curve("decoys", {"0": write("first", first), "3": write("second", second)})
    for value, mean in (("0", 10.0), ("3", 10.0)):
        (row,) = report["by_value"][value]["orderings"]
        assert (row["worse"], row["mean"]) == ("r18", mean)
    del second["orderings"][1]
    report = joined_curve("decoys", {"0": write("first", first), "3": write("second", second)})
    assert [each["orderings"] for each in report["by_value"].values()] == [[], []]


def test_the_heading_says_on_how_many_segments_where_they_differ(write, tmp_path) -> None:
    few = write("few", _report(num_segments=12, orn=70.0))
    many = write("many", {**_report(orn=40.0), "chance": 24.3})
    result = curve("decoys", f"0={few}", f"3={many}", "--out", str(tmp_path / "curve"))
    assert "on 12 to 100 segments against decoys, chance 8.3 to 24.3; " in result.stdout


def test_a_report_to_join_is_never_written_over(write, tmp_path) -> None:
    few = write("few", _report(orn=70.0))
    many = write("many", _report(orn=40.0))
    before = few.read_bytes()
    result = curve("decoys", f"0={few}", f"3={many}", "--out", str(tmp_path / "few"))
    assert result.exit_code == 2
    assert "wanted another name than that of a report to join" in result.stderr
    assert few.read_bytes() == before


@pytest.mark.parametrize("out", ["curve.json", "curve.png", ".", "folder/.."])
def test_a_name_that_is_none_of_files_is_refused(write, tmp_path, monkeypatch, out) -> None:
    few = write("few", _report(orn=70.0))
    many = write("many", _report(orn=40.0))
    monkeypatch.chdir(tmp_path)
    result = curve("decoys", f"0={few}", f"3={many}", "--out", out)
    assert result.exit_code == 2
    assert "wanted the name of files without .json, .md or .png" in result.stderr


@pytest.mark.parametrize(
    ("points", "message"),
    [
        (["0=a.json"], "wanted at least two VALUE=REPORT.json, found 1"),
        (["0=a.json", "b.json"], "wanted VALUE=REPORT.json, found 'b.json'"),
        (["0=a.json", "0=b.json"], "wanted each value once, found '0' twice"),
        (["0=a.json", "1=a.json"], "wanted each report once, found a.json twice"),
    ],
)
def test_points_that_cannot_be_read_are_refused(points, message, tmp_path) -> None:
    result = curve("decoys", *points, "--out", str(tmp_path / "out"))
    assert result.exit_code == 2
    assert message in result.stderr


def test_reports_of_different_measurements_are_refused(write, tmp_path) -> None:
    test = write("test", _report(orn=70.0))
    for other, message in (
        (_report("validation", orn=70.0), "wanted the split 'test' as in"),
        (_report(dataset="vlog", orn=70.0), "wanted the dataset 'demo' as in"),
        (_report(r18=70.0), "wanted a system that is in all, found none"),
        ({"varied": "x", "values": []}, "of one setting; found one in which a setting is varied"),
        (_report(seeds=1, orn=70.0), "wanted 3 seeds as in .* found 1; a curve is of one number"),
        ({"systems": []}, "table-TABLE-SPLIT.json; missing key 'dataset'"),
        ([1], "table-TABLE-SPLIT.json; all of it: wanted a table"),
        ({**_report(orn=70.0), "systems": 5}, "; systems: Input should be a valid list"),
        ({**_report(orn=70.0), "systems": []}, "; systems: wanted at least 1 entries"),
        (_report(orn="high"), r"; systems\[0\]\.mean: wanted a number, found .high"),
        (_report(orn=float("nan")), r"; systems\[0\]\.mean: wanted a finite number"),
    ):
        with pytest.raises(ConfigError, match=message):
            joined_curve("decoys", {"0": test, "1": write("other", other)})
    broken = tmp_path / "broken.json"
    broken.write_text("{")
    for path in (broken, tmp_path / "absent.json", tmp_path):
        with pytest.raises(ConfigError, match="wanted the JSON report of `orn ablate`"):
            joined_curve("decoys", {"0": test, "1": path})
