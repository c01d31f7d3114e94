"""`orn detect` as a user calls it, with the demo's config and random weights."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from orn.shared.cli import main
from orn.shared.errors import ConfigError
from orn.shared.jobs.lock import locked
from orn.shared.shards.shard import Shard
from orn.stage1_detect import request
from tests.weights_server import WeightsServer
from tests.worlds.videos import write_grey

pytestmark = pytest.mark.mmdet


@pytest.fixture
def arguments(world: Path, demo_config: Path, demo_checkpoint: Path, tmp_path: Path) -> list[str]:
    return [
        *("detect", str(world)),
        *("--data", str(world.parent / "data"), "--out", str(tmp_path / "shards")),
        *("--config", str(demo_config), "--checkpoint", str(demo_checkpoint)),
        *("--score-threshold", "0.05", "--device", "cpu"),
    ]


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of `orn ARGUMENTS`."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    captured = capsys.readouterr()
    return int(ended.value.code or 0), captured.out, captured.err


def test_detect_writes_shards_and_tells_of_failures(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run(capsys, *arguments, "--json")
    assert code == 3
    summary: dict[str, Any] = json.loads(out)
    assert (summary["frames"], summary["videos"], summary["missing"]) == (17, 2, 1)
    assert [video["id"] for video in summary["failed"]] == ["broken"]
    assert "1 of 4 listed videos are not under" in err
    shard = Shard(tmp_path / "shards" / "shard-000000.zarr.zip")
    assert shard.detector.config_name == "mask_rcnn_demo"
    assert shard.detector.checkpoint_digest.startswith("sha256:")
    plan = json.loads((tmp_path / "shards" / "plan.json").read_text())
    assert plan["settings"] == {"batch": 8, "threads": 1, "device": "cpu"}
    assert shard.detector.thresholds == {
        "score": 0.05,
        "nms_iou": 0.5,
        "max_per_image": 50.0,
        "mask": 0.5,
    }
    assert "mmdet" in shard.detector.versions

    code, out, _ = run(capsys, *arguments, "--json")
    assert code == 3
    assert json.loads(out)["skipped_units"] == 1

    code, _, err = run(capsys, *arguments, "--score-threshold", "0.5")
    assert code == 2
    assert "thresholds.score is 0.05 there, 0.5 asked for" in err

    code, out, _ = run(capsys, *arguments, "--limit", "1", "--fresh", "--json")
    assert code == 0
    assert json.loads(out)["total_frames"] == 5


def test_a_detector_of_the_project_by_its_name(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = arguments.index("--config")
    named = [*arguments[:place], "--config", "mask_rcnn_demo", *arguments[place + 4 :]]
    code, out, _ = run(capsys, *named, "--dry-run", "--json")
    assert (code, Path(json.loads(out)["checkpoint"]).name) == (0, "mask_rcnn_demo.pth")
    assert run(capsys, *named, "--limit", "1")[0] == 0
    shard = Shard(tmp_path / "shards" / "shard-000000.zarr.zip")
    assert shard.detector.config_name == "mask_rcnn_demo"


def test_a_video_too_narrow_to_resize_fails_alone_each_time(
    arguments: list[str], world: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    narrow = world.parent / "data" / "small" / "videos" / "a.mp4"
    write_grey(narrow, 3, height=2, width=1000)
    for new in (12, 0):
        code, out, _ = run(capsys, *arguments, "--json")
        summary = json.loads(out)
        assert (code, summary["frames"], summary["total_frames"]) == (3, new, 12)
        failed = {video["id"]: video["reason"] for video in summary["failed"]}
        assert failed.keys() == {"a", "broken"}
        assert "got 1000 x 2 pixels" in failed["a"]


def test_a_limit_can_be_lifted_and_what_would_mix_is_refused(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, out, _ = run(capsys, *arguments, "--limit", "1", "--json")
    assert json.loads(out)["frames"] == 5
    _, out, _ = run(capsys, *arguments, "--dry-run", "--json")
    work = json.loads(out)
    assert (work["units"], work["shards_there"], work["frames_to_do"]) == (2, 1, 312)
    size = (tmp_path / "shards" / "shard-000000.zarr.zip").stat().st_size
    assert work["expected_bytes"] == round(312 * size / 5)
    assert "an estimate" in work["expected_bytes_is"]
    _, out, _ = run(capsys, *arguments, "--json")
    summary = json.loads(out)
    assert (summary["skipped_units"], summary["frames"], summary["total_frames"]) == (1, 12, 17)
    for option, message in [
        ("--batch", "settings.batch is 8 there, 2 asked for"),
        ("--threads", "settings.threads is 1 there, 2 asked for"),
        ("--unit-frames", "unit_frames is 2000 there, 2 asked for"),
    ]:
        code, _, err = run(capsys, *arguments, option, "2")
        assert code == 2
        assert message in err
    code, _, err = run(capsys, *arguments, "--frames", "labelled")
    assert code == 2
    assert "frames is 'all' there, 'labelled' asked for" in err
    code, out, _ = run(capsys, *arguments, "--frames", "labelled", "--fresh", "--dry-run", "--json")
    assert json.loads(out)["shards_there"] == 0


def test_a_fresh_job_that_cannot_start_removes_nothing(
    arguments: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*args: Any, **options: Any) -> Any:
        raise ConfigError("no video is labelled")

    assert run(capsys, *arguments, "--limit", "1")[0] == 0
    before = sorted(path.name for path in (tmp_path / "shards").iterdir())
    no_cluster = ("--engine", "ray", "--address", "127.0.0.1:9")
    code, _, err = run(capsys, *arguments, "--fresh", *no_cluster)
    assert code in (1, 2)  # there is no such cluster, or no package ray
    assert "ray" in err.lower()
    monkeypatch.setattr(request, "plan_job", refuse)
    code, _, err = run(capsys, *arguments, "--fresh")
    assert (code, "no video is labelled" in err) == (2, True)
    assert sorted(path.name for path in (tmp_path / "shards").iterdir()) == before


def test_a_second_job_in_the_folder_is_refused_and_failures_are_retried(
    arguments: list[str], tmp_path: Path, world: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(capsys, *arguments)[0] == 3
    with locked(tmp_path / "shards" / "plan.json", job="orn detect"):
        code, _, err = run(capsys, *arguments, "--fresh")
    assert (code, "is writing it; wait until it is done" in err) == (1, True)
    broken = world.parent / "data" / "small" / "videos" / "broken.mp4"
    write_grey(broken.with_name("whole.mp4"), 3).replace(broken)
    _, out, _ = run(capsys, *arguments, "--retry-failed", "--dry-run", "--json")
    assert json.loads(out)["frames_to_do"] == 20
    code, out, _ = run(capsys, *arguments, "--retry-failed", "--json")
    assert (code, json.loads(out)["total_frames"]) == (0, 20)


def test_dry_run_writes_nothing(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = run(capsys, *arguments, "--dry-run", "--json")
    assert code == 0
    work = json.loads(out)
    assert (work["videos"], work["frames_to_do"], work["units"]) == (3, 317, 1)
    assert work["unreadable_videos"] == 1
    assert not (tmp_path / "shards").exists()
    _, out, _ = run(capsys, *arguments, "--dry-run")
    assert "frames to do: 317\n" in out


@pytest.mark.parametrize(
    ("extra", "code", "message"),
    [
        pytest.param(["--data", "nowhere"], 1, "nowhere; put it there", id="no data"),
        pytest.param(
            ["--checkpoint", "no.pth"], 1, "no.pth: cannot be read (No such", id="weights"
        ),
        pytest.param(["--config", "mask-rcnn_r51"], 1, "did you mean 'mask-rcnn_r50", id="config"),
        pytest.param(["--score-threshold", "2"], 2, "is not in the range", id="usage"),
        pytest.param(["--device", "gpu"], 1, "wanted auto, cpu, cuda or cuda:N", id="device"),
        pytest.param(["--address", "h:1"], 2, "--address h:1: only --engine ray", id="address"),
        pytest.param(
            ["--engine", "ray", "--device", "cuda:1"], 2, "Ray chooses the GPU", id="one GPU"
        ),
    ],
)
def test_errors(
    arguments: list[str],
    capsys: pytest.CaptureFixture[str],
    extra: list[str],
    code: int,
    message: str,
) -> None:
    found, out, err = run(capsys, *arguments, *extra)
    assert (found, out) == (code, "")
    assert message in err


def test_unknown_dataset_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capsys, "detect", "vlgo")
    assert code == 2
    assert "vlog" in err


@pytest.mark.parametrize("more", [[], ["--engine", "ray"]])
def test_weights_that_cannot_be_fetched_are_named_with_what_to_do(
    world: Path, more: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = run(capsys, "detect", str(world), "--data", str(world.parent / "data"), *more)
    assert code == 1
    assert "from https://download.openmmlab.com/" in err
    assert "mask_rcnn_r50_fpn_mstrain-poly_3x_coco_20210524_201154-21b550bb.pth" in err
    assert "--checkpoint FILE" in err
    assert "CHECKPOINT=FILE" in err


@pytest.mark.parametrize("workers", ["1", pytest.param("2", marks=pytest.mark.slow)])
def test_published_weights_are_fetched_once(
    workers: str,
    arguments: list[str],
    weights_host: WeightsServer,
    published_config: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    server = weights_host
    (name,) = server.files
    place = arguments.index("--config")
    fetching = [*arguments[:place], "--config", str(published_config), *arguments[place + 4 :]]
    fetching += ["--workers", workers, "--unit-frames", "5"]
    code, out, _ = run(capsys, *fetching, "--dry-run", "--json")
    assert (code, json.loads(out)["checkpoint"]) == (0, None)
    assert json.loads(out)["to_fetch"] == f"{server.address}/{name}"
    assert server.requests == []
    assert not (tmp_path / "torch").exists()

    code, _, err = run(capsys, *fetching)
    assert (code, f"fetching {server.address}" in err) == (3, True)
    assert server.requests == [f"/{name}"]
    digest = Shard(tmp_path / "shards" / "shard-000000.zarr.zip").detector.checkpoint_digest
    assert digest == f"sha256:{hashlib.sha256(server.files[name]).hexdigest()}"

    _, out, _ = run(capsys, *fetching, "--dry-run", "--json")
    work = json.loads(out)
    assert (Path(work["checkpoint"]).name, work["to_fetch"]) == (name, None)


def test_weights_that_are_given_are_not_fetched(
    arguments: list[str],
    weights_host: WeightsServer,
    published_config: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = [*arguments, "--config", str(published_config), "--limit", "1"]
    code, out, _ = run(capsys, *given, "--dry-run", "--json")
    assert (code, json.loads(out)["to_fetch"]) == (0, None)
    assert run(capsys, *given)[0] == 0
    assert weights_host.requests == []


@pytest.mark.parametrize("word", ["bf16", "bfloat16"])
def test_a_precision_is_recorded_in_the_same_word_however_it_is_spelled(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], word: str
) -> None:
    run(capsys, *arguments, "--limit", "1", "--precision", word)
    shard = Shard(tmp_path / "shards" / "shard-000000.zarr.zip")
    assert shard.detector.precision == "bfloat16"


def test_the_fast_path_is_recorded_and_finds_the_same(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "shards" / "shard-000000.zarr.zip"
    run(capsys, *arguments, "--limit", "1", "--fast")
    fast = Shard(path)
    assert fast.detector.versions["fast_path"] == "1"
    frames = [fast.frame(row) for row in range(fast.num_frames)]
    code, _, err = run(capsys, *arguments, "--limit", "1")
    assert code == 2
    assert "versions.fast_path" in err

    run(capsys, *arguments, "--limit", "1", "--fresh")
    for row, ours in enumerate(frames):
        theirs = Shard(path).frame(row)
        assert ours.masks == theirs.masks
        assert ours.boxes.tolist() == theirs.boxes.tolist()
        assert ours.scores.tolist() == theirs.scores.tolist()
