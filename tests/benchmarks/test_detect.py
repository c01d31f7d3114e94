"""`orn bench detect`, `detect-overhead` and `detect-memory` at a tiny size."""

import json
import os
import pickle
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from orn.benchmarks import detect_memory, predict_memory
from orn.benchmarks.made_inputs import moving_pictures, write_detections, write_video
from orn.shared.errors import PipelineError
from orn.shared.manifests.load import shipped_detectors
from orn.shared.shards.files import shard_path
from orn.shared.shards.writer import ShardWriter

pytestmark = pytest.mark.mmdet


@pytest.fixture
def inputs(tmp_path: Path) -> Any:
    """The demo's detector, at a threshold that lets it find much, and a video of 12 frames."""
    from orn.benchmarks.detect_inputs import DetectInputs

    (choice,) = shipped_detectors().values()
    assert choice.config is not None and choice.checkpoint is not None
    config = tmp_path / "config.py"
    config.write_text(
        f"_base_ = {str(choice.config)!r}\nmodel = dict(test_cfg=dict(rcnn=dict(score_thr=0.01)))\n"
    )
    return DetectInputs(
        config=config,
        checkpoint=choice.checkpoint,
        score_threshold=0.01,
        video=write_video(tmp_path / "v.mp4", moving_pictures(12, height=90, width=130)),
        weights="demo",
    )


def record_of(result: Any) -> dict[str, Any]:
    record: dict[str, Any] = json.loads(json.dumps(result.as_json(), allow_nan=False))
    assert record["ratio"] > 0
    return record


@pytest.mark.slow
def test_detect_reports_both_sides(inputs: Any) -> None:
    from orn.benchmarks.detect import compare

    result = compare(
        inputs, frames=5, devices=("cpu",), threads=1, precision="float32",
        repeats=1,
    )  # fmt: skip
    record = record_of(result)
    assert record["ratio"] == pytest.approx(record["reference_seconds"] / record["ours_seconds"])
    assert (record["ours_processes"], record["reference_threads"]) == (1, 1)
    assert record["detections_a_frame"] == record["reference_detections_a_frame"] > 0
    assert record["agreeing_share"] >= record["agreeing_least_share"] == 0.9
    assert record["gpu_busy_share"] is None


def test_sides_that_find_other_objects_are_refused(tmp_path: Path) -> None:
    from orn.benchmarks.detect import agreement

    detector = detect_memory.StripedDetector()
    pictures = moving_pictures(2, height=120, width=160)
    raw = detector.infer([detector.prepare(picture) for picture in pictures])
    found = [detector.encode(each) for each in raw]
    paths = (shard_path(tmp_path, 0), tmp_path / "loop.pkl")
    with ShardWriter(paths[0], detector.entry) as writer:
        write_detections(writer, "video", found)

    def write_loop(score_offset: float) -> None:
        frames = [
            {"boxes": f.boxes, "scores": f.scores + score_offset, "labels": f.labels} for f in found
        ]
        paths[1].write_bytes(pickle.dumps(frames))

    write_loop(0.005)
    assert agreement(*paths, is_exact=True)["agreeing_share"] == 1
    write_loop(0.02)
    message = r"detections 0\.0% are among ours, wanted at least 90%"
    with pytest.raises(PipelineError, match=message):
        agreement(*paths, is_exact=True)
    assert agreement(*paths, is_exact=False)["agreeing_share"] == 0


def test_overhead_reports_each_part(inputs: Any) -> None:
    from orn.benchmarks.detect_overhead import compare

    result = compare(inputs, frames=5, device="cpu", precision="float32", repeats=1)
    record = record_of(result)
    parts = [record[f"{name}_cpu_seconds"] for name in ("decode", "prepare", "encode", "write")]
    assert all(part > 0 for part in parts)
    assert record["ours_seconds"] == pytest.approx(sum(parts))
    assert record["share"] == pytest.approx(1 / record["ratio"])
    assert record["detections_a_frame"] > 0


@pytest.mark.parametrize(
    ("measure", "counted"),
    [
        (partial(detect_memory.measure, network=False), {"detections": {"40": 800, "80": 1600}}),
        # Its quick parts: what predicts, below, and the processes, which are those above.
        pytest.param(
            predict_memory.measure, {"windows": {"40": 2, "80": 4}}, marks=pytest.mark.slow
        ),
    ],
)
def test_memory_is_that_of_processes_of_their_own(measure: Any, counted: dict[str, Any]) -> None:
    record = record_of(measure(short=40, long=80))
    assert record["ratio"] == record["reference_bytes"] / record["ours_bytes"]
    assert record.items() >= counted.items()
    assert 0 < record["long_bytes_above_start"] < record["ours_bytes"] < 2**30


def test_what_predicts_looks_at_windows(tmp_path: Path) -> None:
    video = write_video(tmp_path / "v.mp4", moving_pictures(40, height=120, width=160))
    start_bytes, counts = predict_memory.predict_video(video, 40)
    assert 0 < start_bytes < 2**40
    assert counts["windows"] == 2


def test_the_gpu_is_sampled_while_the_block_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    from orn.benchmarks.harness import watching_gpu

    cards = {torch.device("cuda:1"): SimpleNamespace(uuid="b21f")}  # there may be no GPU
    monkeypatch.setattr(torch.cuda, "get_device_properties", cards.get)
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\ntest $1 = --id=GPU-b21f && echo 40 && echo 60\nexec cat $PIPE\n")
    program.chmod(0o755)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    monkeypatch.setenv("PIPE", str(pipe))
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with watching_gpu("cuda:1") as busy:
        pipe.write_text("")  # the program has come to its last line
    assert busy.share == 0.5
    with watching_gpu("cpu") as busy:
        pass
    assert busy.share is None
