"""`orn bench train-step` at a tiny size."""

import json

import pytest

from orn.benchmarks.model_inputs import ClipSizes
from orn.benchmarks.train_step import measure
from orn.stage2_train.model.config import NetworkConfig

SIZES = ClipSizes(
    clips=2,
    frames=3,
    slots=2,
    config=NetworkConfig(
        num_activities=3,
        backbone="resnet50",
        base_width=4,
        mask_size=16,
        mask_features=6,
        relation_width=8,
        reasoning_state=4,
        activity_state=4,
    ),
)


def test_object_phase_with_and_without_the_resnet() -> None:
    result = measure(SIZES, repeats=1, threads=1, growth=False, device="cpu", phase="object")
    record = json.loads(json.dumps(result.as_json(), allow_nan=False))
    assert record["ratio"] == pytest.approx(record["reference_seconds"] / record["ours_seconds"])
    assert (record["phase"], record["pixels"]) == ("object", 128)
    assert record["gradient_relative_difference"] < 1e-6


def test_reports_both_precisions_and_agreement() -> None:
    result = measure(SIZES, repeats=1, threads=1, growth=False, device="cpu")
    record = json.loads(json.dumps(result.as_json(), allow_nan=False))
    assert record["ratio"] == pytest.approx(record["reference_seconds"] / record["ours_seconds"])
    assert record["bf16_ratio"] == pytest.approx(
        record["reference_seconds"] / record["bf16_seconds"]
    )
    assert record["losses"]["ours"] == pytest.approx(record["losses"]["reference"], rel=1e-4)
    assert record["gradient_relative_difference"] < 1e-6
    assert (record["pixels"], record["device"]) == (128, "cpu")
