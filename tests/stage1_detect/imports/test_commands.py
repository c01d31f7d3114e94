"""`orn import-masks`: from released files to shards that training can use."""

import json
import pickle
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from orn.shared.cli import orn
from orn.shared.errors import VideoDecodeError
from orn.shared.jobs.lock import locked
from orn.shared.shards.reader import DetectionFolder
from orn.shared.shards.schema import UNKNOWN_SOURCE
from orn.shared.shards.shard import Shard
from orn.shared.shards.verify import verify_shard
from orn.shared.video.read import content_digest
from orn.stage1_detect.imports import job as import_job
from orn.stage1_detect.imports import planning
from tests.conftest import ROOT
from tests.processes import run_alone
from tests.stage1_detect.imports.conftest import Found, block_mask, write_authors, write_epic
from tests.worlds.tables import counted_videos

BLOCK: Found = ((10, 20, 50, 75), block_mask(10, 20, 50, 75), 0.75, 3)


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(orn, ["import-masks", *(str(argument) for argument in arguments)])


def run_in(folder: Path, *arguments: str | Path) -> Result:
    """With the manifest, the masks and the shards of `folder`."""
    return run(
        folder / "mine.toml",
        folder / "masks",
        *("--data", folder / "data", "--out", folder / "shards"),
        *arguments,
    )


@pytest.mark.slow
@pytest.mark.real_data
def test_the_real_masks_of_vlog(sample_data: Path, tmp_path: Path) -> None:
    source = sample_data / "vlog" / "masks" / "preds_100x100_50"
    arguments = ("vlog", source, "--format", "authors", "--data", sample_data, "--out", tmp_path)
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.stderr
    summary = json.loads(result.stdout)
    assert summary["matched"] == 2
    assert summary["ignoring_case"] == ["O/5/E/v_vAqaXZuAO5E/075"]
    assert (summary["frames"], summary["detections"]) == (741 + 95, 2001 + 477)
    assert summary["without_masks"] == 113_839 - 2
    shards = DetectionFolder(tmp_path)
    pickles = 0
    for video_id, folder in zip(
        shards.video_ids, ("o/5/E/v_vAqaXZuAO5E/075", "o/p/Y/v_7Tsrimk7opY/052"), strict=True
    ):
        path = source / folder / "clip.pkl"
        pickles += path.stat().st_size
        segms = pickle.loads(path.read_bytes())["segms"]  # this file is known
        video = shards.video(video_id)
        assert video.seconds.tolist() == [number / 30 for number in range(len(segms))]
        for row, classes in enumerate(segms):
            masks = tuple(segm["counts"] for found in classes for segm in found)
            assert video.frame(row).masks == masks
        clip = sample_data / "vlog" / "videos" / folder / "clip.mp4"
        assert shards.entry(video_id).source_digest == content_digest(clip)
        assert (video.video.height, video.video.width, video.video.rate) == (100, 100, 30)
    (shard,) = tmp_path.glob("shard-*")
    assert verify_shard(shard) == []
    assert not Shard(shard).has_class_scores
    assert shard.stat().st_size <= 0.4 * pickles
    assert json.loads((tmp_path / "plan.json").read_text())["data_root"] == str(sample_data)
    before = shard.read_bytes()
    again = run(*arguments, "--json")
    assert json.loads(again.stdout)["skipped_units"] == 1
    assert shard.read_bytes() == before


def test_every_kind_of_file_is_reported(tmp_path: Path) -> None:
    counted_videos(tmp_path, {"a": 3, "Deep/b": 3, "c": 3}, absent=["gone", "d"])
    masks = tmp_path / "masks"
    for name in (
        "a/clip.pkl",
        "deep/b/clip.pkl",
        "c/clip.pkl",
        "C.pkl",
        "stranger.pkl",
        "gone.pkl",
    ):
        write_authors(masks / name, [[BLOCK], []])
    (masks / "d.pkl").write_bytes(b"cos\nsystem\n.")
    write_authors(masks / "DEEP" / "B.pkl", [[]])
    result = run_in(tmp_path, "--format", "authors", "--json")
    assert result.exit_code == 3
    found = json.loads(result.stdout)
    assert found["matched"] == 4
    assert found["unmatched"] == [str(masks / "stranger.pkl")]
    settled = {tuple(each["ids"]): each["is_settled"] for each in found["duplicates"]}
    assert settled == {("c",): True, ("Deep/b",): False}
    (unreadable,) = found["unreadable"]
    assert unreadable["id"] == "d"
    assert "refused: the pickle holds the global os.system" in unreadable["reason"]
    assert found["without_video"] == ["gone"]
    assert found["without_masks"] == 1
    assert json.loads((tmp_path / "shards" / "import.json").read_text())["matched"] == 4
    assert "unreadable: d: " in result.stderr
    assert "import again with --fresh" in result.stderr
    shards = DetectionFolder(tmp_path / "shards")
    assert shards.entry("gone").source_digest == UNKNOWN_SOURCE
    assert shards.entry("a").source_digest.startswith("sha256:")
    assert "os.system" in shards.failed[0].reason
    assert shards.failed[0].reason.startswith("d.pkl: refused")
    assert run_in(tmp_path, "--format", "authors").exit_code == 3  # as before, without new work


def test_a_video_that_cannot_be_read_is_named_without_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(path: Path) -> str:
        raise VideoDecodeError(f"{path}: cannot be read (Input/output error)")

    monkeypatch.setattr(import_job, "content_digest", refused)
    counted_videos(tmp_path, {"a": 3})
    write_authors(tmp_path / "masks" / "a" / "clip.pkl", [[BLOCK]])
    assert run_in(tmp_path, "--format", "authors").exit_code == 3
    (failed,) = DetectionFolder(tmp_path / "shards").failed
    assert re.fullmatch(r"a\.\w+: cannot be read \(Input/output error\)", failed.reason)


def test_epics_masks_at_the_rates_of_the_published_frames(tmp_path: Path) -> None:
    counted_videos(tmp_path, {}, absent=["P01_01", "P01_109", "P27_103"])
    one: Found = ((0.1, 0.2, 0.5, 0.75), block_mask(10, 20, 50, 75), 0.75, 3)
    for video_id in ("P01_01", "P01_109", "P27_103"):
        path = tmp_path / "masks" / video_id[:3] / f"{video_id}.pkl"
        write_epic(path, [(1, [one]), (31, [one, one])])
    result = run_in(tmp_path, "--format", "epic100", "--json")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["known_wrong"] == ["P01_109", "P27_103"]
    assert "masks of P01_109: the released file is known to be wrong" in result.stderr
    shards = DetectionFolder(tmp_path / "shards")
    assert shards.video("P01_01").seconds.tolist() == [0, 0.5]
    assert shards.video("P01_01").frame_indices.tolist() == [0, 30]
    assert shards.video("P27_103").seconds.tolist() == [0, 0.6]
    np.testing.assert_allclose(shards.video("P01_01").frame(1).boxes, [[10, 20, 50, 75]] * 2)
    other = run_in(tmp_path, "--format", "epic100", "--rate", "25", "--fresh")
    assert other.exit_code == 0
    assert DetectionFolder(tmp_path / "shards").video("P01_01").seconds.tolist() == [0, 1.2]


def test_a_rate_that_cannot_be_known_is_asked_for(tmp_path: Path) -> None:
    counted_videos(tmp_path, {}, absent=["kitchen"])
    write_epic(tmp_path / "masks" / "kitchen.pkl", [(1, [])])
    result = run_in(tmp_path, "--format", "epic100")
    assert result.exit_code == 2
    assert "video 'kitchen': at which rate" in result.stderr
    assert run_in(tmp_path, "--format", "epic100", "--rate", "30").exit_code == 0
    assert run_in(tmp_path, "--format", "authors", "--rate", "30").exit_code == 2


def test_dry_run_writes_nothing(tmp_path: Path) -> None:
    counted_videos(tmp_path, {"a": 3})
    write_authors(tmp_path / "masks" / "a.pkl", [[]])
    result = run_in(tmp_path, "--format", "authors", "--dry-run", "--json")
    assert json.loads(result.stdout)["units"] == 1
    assert not (tmp_path / "shards").exists()


def test_jobs_do_not_mix(tmp_path: Path) -> None:
    counted_videos(tmp_path, {"a": 3, "b": 3})
    write_authors(tmp_path / "masks" / "a.pkl", [[]])
    assert run_in(tmp_path, "--format", "authors").exit_code == 0
    write_authors(tmp_path / "masks" / "b.pkl", [[]])
    refused = run_in(tmp_path, "--format", "authors")
    assert refused.exit_code == 2
    assert "plan.json: the job there is not the one asked for" in refused.stderr
    assert run_in(tmp_path, "--format", "authors", "--fresh").exit_code == 0
    assert set(DetectionFolder(tmp_path / "shards").video_ids) == {"a", "b"}
    (tmp_path / "shards" / "plan.json").unlink()
    assert "has shards but no plan.json" in run_in(tmp_path, "--format", "authors").stderr


def test_sources_that_cannot_be(tmp_path: Path) -> None:
    counted_videos(tmp_path, {"a": 3})
    (tmp_path / "masks").mkdir()
    assert "found none" in run_in(tmp_path, "--format", "authors").stderr
    for name in ("one", "two", "strange"):
        write_authors(tmp_path / "masks" / name / "b.pkl", [[]])
    result = run_in(tmp_path, "--format", "authors")
    assert result.exit_code == 1
    assert "masks: none of its 3 files belongs to a listed video of 'mine'" in result.stderr
    for name in ("one", "two"):
        write_authors(tmp_path / "masks" / name / "a" / "clip.pkl", [[]])
    result = run_in(tmp_path, "--format", "authors")
    assert result.exit_code == 1
    inner = tmp_path / "masks"
    assert f"; give one of {inner / 'one'}, {inner / 'two'}" in result.stderr
    assert run_in(tmp_path).exit_code == 2


@pytest.mark.parametrize(
    "given", ["", "vlog", "vlog/preds/o/5", "vlog/preds/o/5/E", "vlog/preds/O"]
)
def test_the_folder_that_was_meant_is_taken_and_named(tmp_path: Path, given: str) -> None:
    """The way to a file is part of its id, so that the folder can be told from the list."""
    counted_videos(tmp_path, {}, absent=["O/5/E", "P/1/2"])
    meant = tmp_path / "masks" / "vlog" / "preds"
    for name in ("o/5/E/clip.pkl", "P/1/2/clip.pkl", "O/8/1/clip.pkl"):
        write_authors(meant / name, [[BLOCK]])
    result = run(
        tmp_path / "mine.toml",
        tmp_path / "masks" / given,
        *("--data", tmp_path / "data", "--out", tmp_path / "shards", "--format", "authors"),
        "--json",
    )
    if given.endswith("O"):  # none of its files is listed
        assert result.exit_code == 1
        assert "preds/O: none of its 1 files belongs to a listed video of 'mine'" in result.stderr
        return
    assert result.exit_code == 0, result.stderr
    assert f"those of {meant} do; that folder is taken" in result.stderr
    found = json.loads(result.stdout)
    assert (found["source"], found["matched"]) == (str(meant), 2)


def execute(program: str) -> int:
    exec(program, {})
    return 0


def test_killed_and_started_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """kill -9 while a video is read; the shards then equal those of an undisturbed import."""
    monkeypatch.setattr(planning, "UNIT_FRAMES", 1)  # a unit a video
    names = [f"v{number}" for number in range(6)]
    counted_videos(tmp_path, {}, absent=names)
    for number, name in enumerate(names):
        write_authors(tmp_path / "masks" / f"{name}.pkl", [[BLOCK] * (number + 1), []])
    arguments = [
        *("import-masks", str(tmp_path / "mine.toml"), str(tmp_path / "masks")),
        *("--data", str(tmp_path / "data"), "--format", "authors", "--out"),
    ]
    assert CliRunner().invoke(orn, [*arguments, str(tmp_path / "whole")]).exit_code == 0
    whole = {path.name: path.read_bytes() for path in (tmp_path / "whole").glob("shard-*")}
    assert len(whole) == 6
    two = CliRunner().invoke(orn, [*arguments, str(tmp_path / "two"), "--workers", "2"])
    assert two.exit_code == 0, two.output
    assert {path.name: path.read_bytes() for path in (tmp_path / "two").glob("shard-*")} == whole
    for videos_before in (0, 3):
        out = tmp_path / f"cut-{videos_before}"
        program = (
            "import os, signal\n"
            "from orn.shared.cli import main\n"
            "from orn.stage1_detect.imports import job, planning\n"
            "planning.UNIT_FRAMES = 1\n"
            "read, done = job._READERS['authors'], []\n"
            "def read_or_die(path):\n"
            f"    if len(done) == {videos_before}: os.kill(os.getpid(), signal.SIGKILL)\n"
            "    done.append(path)\n"
            "    return read(path)\n"
            "job._READERS['authors'] = read_or_die\n"
            f"main({[*arguments, str(out)]!r})\n"
        )
        ended = run_alone(execute, program, said=tmp_path / "said")
        assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()
        assert len(list(out.glob("shard-*"))) == videos_before
        result = CliRunner().invoke(orn, [*arguments, str(out), "--json"])
        assert json.loads(result.stdout)["skipped_units"] == videos_before
        assert {path.name: path.read_bytes() for path in out.glob("shard-*")} == whole
        assert not list(out.glob(".*"))


def test_sigterm_leaves_whole_shards_and_nothing_else(tmp_path: Path) -> None:
    world = counted_videos(tmp_path, {"a": 3, "b": 3})
    for video_id in ("a", "b"):
        write_authors(tmp_path / "masks" / video_id / "clip.pkl", [[BLOCK]])
    command = [sys.executable, "-m", "tests.stage1_detect.imports.sigterm_import", str(world)]
    command += [str(tmp_path / "masks"), "--format", "authors", "--data", str(tmp_path / "data")]
    ended = subprocess.run(
        [*command, "--out", str(tmp_path / "shards"), "--workers", "2"],
        cwd=ROOT,
        capture_output=True,
        check=False,
        start_new_session=True,
        timeout=120,
    )
    assert ended.returncode == 143, ended.stderr.decode()
    assert [path.name for path in (tmp_path / "shards").iterdir()] == ["plan.json"]


def test_a_second_job_in_the_folder_is_refused(tmp_path: Path) -> None:
    counted_videos(tmp_path, {"a": 3})
    write_authors(tmp_path / "masks" / "a" / "clip.pkl", [[BLOCK]])
    with locked(tmp_path / "shards" / "plan.json", job="orn detect"):
        result = run_in(tmp_path, "--format", "authors", "--fresh")
    assert result.exit_code == 1
    assert "is writing it; wait until it is done" in result.stderr
