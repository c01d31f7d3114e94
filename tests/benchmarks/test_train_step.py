"""`orn bench train-step` at a tiny size."""

import json

import pytest

from benchmarks.model_inputs import ClipSizes
from benchmarks.train_step import measure
from stage2_train.model.config import NetworkConfig


def test_reports_both_precisions_and_agreement() -> None:
    config = NetworkConfig(
        num_activities=3,
        backbone="resnet50",
        base_width=4,
        mask_size=16,
        mask_features=6,
        relation_width=8,
        reasoning_state=4,
        activity_state=4,
    )
    sizes = ClipSizes(clips=2, frames=3, slots=2, config=config)
    result = measure(sizes, repeats=1, threads=1, growth=False, device="cpu")
    record = json.loads(json.dumps(result.as_json(), allow_nan=False))
    assert record["ratio"] == pytest.approx(record["reference_seconds"] / record["ours_seconds"])
    assert record["bf16_ratio"] == pytest.approx(
        record["reference_seconds"] / record["bf16_seconds"]
    )
    assert record["losses"]["ours"] == pytest.approx(record["losses"]["reference"], rel=1e-4)
    assert record["gradient_relative_difference"] < 1e-6
    assert (record["pixels"], record["device"]) == (128, "cpu")
