"""`orn bench detect`, `detect-overhead` and `detect-memory` at a tiny size."""

import json
import pickle
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from orn.benchmarks.made_inputs import moving_pictures, write_detections, write_video
from orn.shared.errors import PipelineError
from orn.shared.manifests.load import shipped_detectors
from orn.shared.shards.plan import shard_path
from orn.shared.shards.writer import ShardWriter

pytestmark = pytest.mark.mmdet


@pytest.fixture
def inputs(tmp_path: Path) -> Iterator[Any]:
    """The demo's detector, at a threshold that lets it find much, and a video of 12 frames."""
    import torch

    from orn.benchmarks.detect_inputs import DetectInputs

    (choice,) = shipped_detectors().values()
    assert choice.config is not None and choice.checkpoint is not None
    config = tmp_path / "config.py"
    config.write_text(
        f"_base_ = {str(choice.config)!r}\nmodel = dict(test_cfg=dict(rcnn=dict(score_thr=0.01)))\n"
    )
    threads = torch.get_num_threads()
    yield DetectInputs(
        config=config,
        checkpoint=choice.checkpoint,
        score_threshold=0.01,
        video=write_video(tmp_path / "v.mp4", moving_pictures(12, height=90, width=130)),
        weights="demo",
    )
    torch.set_num_threads(threads)


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
    from orn.benchmarks.detect_memory import StripedDetector

    detector = StripedDetector()
    pictures = moving_pictures(2, height=120, width=160)
    found = [
        detector.encode(each) for each in detector.infer([detector.prepare(p) for p in pictures])
    ]
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


def test_memory_is_that_of_processes_of_their_own() -> None:
    from orn.benchmarks.detect_memory import measure

    record = record_of(measure(short=40, long=80, network=False))
    assert record["ratio"] == record["reference_bytes"] / record["ours_bytes"]
    assert record["detections"] == {"40": 800, "80": 1600}
    assert 0 < record["long_bytes_above_start"] < record["ours_bytes"] < 2**30


def test_what_predicts_looks_at_windows(tmp_path: Path) -> None:
    from orn.benchmarks.predict_memory import _predict_video

    video = write_video(tmp_path / "v.mp4", moving_pictures(40, height=120, width=160))
    start_bytes, counts = _predict_video(video, 40)
    assert 0 < start_bytes < 2**40
    assert counts["windows"] == 2


@pytest.mark.slow
def test_memory_of_predicting_is_measured_in_windows() -> None:
    """Quicker ones: that of detecting, in the same processes, and what predicts, in this one."""
    from orn.benchmarks.predict_memory import measure

    record = record_of(measure(short=40, long=80))
    assert record["ratio"] == record["reference_bytes"] / record["ours_bytes"]
    assert record["windows"] == {"40": 2, "80": 4}
    assert 0 < record["long_bytes_above_start"] < record["ours_bytes"] < 2**30


def test_the_striped_detector_gives_what_a_shard_takes() -> None:
    from orn.benchmarks.detect_memory import StripedDetector

    detector = StripedDetector()
    (picture,) = moving_pictures(1, height=120, width=160)
    (found,) = detector.infer([detector.prepare(picture)])
    first, again = detector.encode(found), detector.encode(found)
    assert len(first) == 20
    assert first.masks == again.masks
    assert len(np.unique([len(mask) for mask in first.masks])) > 5


def test_the_gpu_is_sampled_while_the_block_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    from orn.benchmarks.harness import watching_gpu

    def properties(device: torch.device) -> Any:
        return SimpleNamespace(uuid={torch.device("cuda:1"): "b21f"}[device])

    monkeypatch.setattr(torch.cuda, "get_device_properties", properties)  # there may be no GPU
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\ntest $1 = --id=GPU-b21f && echo 40 && echo 60\nexec cat $PIPE\n")
    program.chmod(0o755)
    import os

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
