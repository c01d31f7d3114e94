"""Overlaps of stretches, by hand."""

from pathlib import Path

import pytest

from orn.benchmarks.compare_predictions import against_labels


def test_overlaps_are_those_of_the_best_stretch(tmp_path: Path) -> None:
    labels = tmp_path / "labels.csv"
    labels.write_text("id,video,label,start,stop,split\na,v,run,0,2,x\nb,v,sit,2,4,x\n")
    lines = [
        {"kind": "segment", "video": "films/v.mp4", "start": 0.0, "end": 1.0, "labels": ["run"]},
        {"kind": "segment", "video": "films/v.mp4", "start": 1.0, "end": 4.0, "labels": ["run"]},
        {"kind": "failed", "video": "w.mp4", "reason": "lost"},
    ]
    found = against_labels(lines, labels)
    assert found == {
        "videos": 1,
        "segments": 2,
        "mean_iou_any_class": pytest.approx((1 / 2 + 2 / 3) / 2),
        "mean_iou_same_class": pytest.approx(1 / 4),
        "mean_iou_equal_lengths": 1.0,
    }
