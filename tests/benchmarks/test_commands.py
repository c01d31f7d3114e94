"""Benchmarks and tools as commands, on next to nothing."""

import json
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from orn.benchmarks import commands
from orn.benchmarks.bootstrap import bootstrap
from orn.benchmarks.compare_predictions import against_labels
from orn.benchmarks.keep_report import keep
from orn.benchmarks.odd_videos import FILES, table
from orn.shared.manifests.load import load_dataset
from tests.conftest import ROOT
from tests.stage1_detect.imports.conftest import BLOCK, write_authors

NAMES = [name for name, each in vars(commands).items() if isinstance(each, click.Command)]


@pytest.mark.parametrize("name", NAMES)
def test_commands_say_what_they_measure(name: str) -> None:
    said = CliRunner().invoke(getattr(commands, name), ["--help"]).output
    assert "ratio" in said or "reference" in said
    assert "--json" in said


def test_intervals_are_measured_and_kept(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    sizes = ["--segments", "40", "--classes", "7", "--draws", "20"]
    CliRunner().invoke(bootstrap, [*sizes, "--out", str(out)], catch_exceptions=False)
    (row,) = json.loads(out.read_text())["rows"]
    assert row["classes"] == 7
    assert 0 <= row["top1"]["low"] < row["top1"]["value"] < row["top1"]["high"] <= 1


@pytest.mark.parametrize("clips", [0, pytest.param(16, marks=pytest.mark.slow)])
def test_a_small_folder_is_made_and_looked_at(orn: Any, tmp_path: Path, clips: int) -> None:
    folder = tmp_path / "made"
    sizes = ("--videos", 24, "--shards", 8, "--clips", clips)
    ran = orn("bench", "scale", *sizes, "--folder", folder, "--json")
    assert "which stay" in ran.stderr
    found = ran.json
    assert (found["videos"], found["shards"]) == ([6, 12, 24], [2, 4, 8])
    assert len(list((folder / "shards").glob("shard-*.zarr.zip"))) == 8
    opening = [f"open_shards{more}" for more in ("", "_again", "_again_slow_storage")]
    for name in ("plan", "plan_again", *opening):
        assert len(found[name]["seconds"]) == len(found[name]["cpu_seconds"]) == 3
        assert found[name]["seconds_growth"] > 0
    assert max(found["cold_clip"]["reads"]) < 40
    if clips:
        assert found["loader_processes"]["clips"] == [8, 8, 16]
        assert found["evaluation"]["clips"] == [16]
    dataset = load_dataset("vlog", folder / "data")
    assert len(dataset.videos) == len(dataset.segments) == 24


def test_bytes_of_shards_and_of_masks(orn: Any, tmp_path: Path) -> None:
    path = write_authors(tmp_path / "masks" / "a, b" / "clip.pkl", [[BLOCK] * 3, []] * 20)
    out = tmp_path / "result.json"
    found = orn("bench", "shard-size", "--masks", path.parents[1], "--out", out, "--json").json
    assert json.loads(out.read_text()) == found
    assert found["reference_bytes"] == path.stat().st_size
    assert found["ratio"] == pytest.approx(path.stat().st_size / found["ours_bytes"], abs=1e-4)
    assert (found["files"], found["frames"], found["detections"]) == (1, 40, 60)
    path.write_bytes(b"cos\nsystem\n.")
    assert "os.system" in orn("bench", "shard-size", "--masks", path.parent, exit_code=1).stderr


@pytest.mark.real_data
def test_real_masks_take_at_most_two_fifths(orn: Any, sample_data: Path) -> None:
    masks = sample_data / "vlog" / "masks" / "preds_100x100_50"
    found = orn("bench", "shard-size", "--masks", masks, "--json").json
    assert (found["frames"], found["detections"]) == (836, 2478)
    assert found["share"] <= 0.4


@pytest.mark.parametrize(
    ("commits", "is_kept"),
    [(["abc"], True), (["abc", "abc-dirty"], False), (["abc", ""], False)],
)
def test_a_report_of_committed_code_is_kept_with_its_results(tmp_path, commits, is_kept) -> None:
    (tmp_path / "table.json").write_text(json.dumps({"commits": commits, "mean": 1.5}))
    (tmp_path / "table.csv").write_text("run,result\n")
    out = tmp_path / "kept" / "table_machine.json"
    words = [str(out), str(tmp_path / "table.json"), "--command", "orn ablate", "--minutes", "3"]
    result = CliRunner().invoke(keep, words)
    assert out.exists() == is_kept
    if not is_kept:
        assert result.exit_code == 2
        assert "code that is committed" in " ".join(result.output.split())
        return
    kept = json.loads(out.read_text())
    assert (kept["report"]["mean"], kept["minutes"]) == (1.5, 3.0)
    assert kept["commands"] == ["orn ablate"]
    assert out.with_suffix(".csv").read_text() == "run,result\n"


def test_overlaps_are_those_of_the_best_stretch(tmp_path: Path) -> None:
    labels = tmp_path / "labels.csv"
    labels.write_text("id,video,label,start,stop,split\na,v,run,0,2,x\nb,v,sit,2,4,x\n")
    segment = {"kind": "segment", "video": "films/v.mp4", "labels": ["run"]}
    times = ({"start": 0.0, "end": 1.0}, {"start": 1.0, "end": 4.0})
    failed = {"kind": "failed", "video": "w.mp4", "reason": "lost"}
    assert against_labels([*(segment | each for each in times), failed], labels) == {
        "videos": 1,
        "segments": 2,
        "mean_iou_any_class": pytest.approx((1 / 2 + 2 / 3) / 2),
        "mean_iou_same_class": pytest.approx(1 / 4),
        "mean_iou_equal_lengths": 1.0,
    }


@pytest.mark.slow
@pytest.mark.real_data
def test_the_table_of_odd_videos_in_the_docs_is_what_is_measured(sample_data: Path) -> None:
    document = (ROOT / "docs" / "odd_videos.md").read_text().splitlines()
    rows = table(sample_data / "clips")
    written = [line for line in document if line.startswith("|")]
    assert len(written) == len(rows) == 2 + len(FILES)
    for found, wanted in zip(rows[2:], written[2:], strict=True):
        for column in (1, -2):  # the file, and what ours does
            assert found.split("|")[column] == wanted.split("|")[column]
    if written[0] == rows[0]:  # the same versions of the other readers
        assert written == rows


@pytest.mark.real_data
def test_every_odd_file_is_in_the_table(sample_data: Path) -> None:
    there = {f"odd/{path.name}" for path in (sample_data / "clips" / "odd").iterdir()}
    assert there <= FILES.keys()
