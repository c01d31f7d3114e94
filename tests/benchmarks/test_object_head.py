"""`orn bench object-head` and `train-step` at a tiny size: what is reported, and what refused."""

import json
from typing import Any

import pytest
import torch

from orn.benchmarks import train_step
from orn.benchmarks.harness import Sides, grown, peak_allocated_bytes, require_agreement
from orn.benchmarks.model_inputs import ClipSizes
from orn.benchmarks.object_head import measure
from orn.shared.errors import PipelineError
from orn.stage2_train.model.config import NetworkConfig


def record_of(result: Any) -> dict[str, Any]:
    """What is written, whose ratio is looked at."""
    record = json.loads(json.dumps(result.as_json(), allow_nan=False))
    assert record["ratio"] == pytest.approx(record["reference_seconds"] / record["ours_seconds"])
    return record


def test_reports_times_memory_and_agreement() -> None:
    config = NetworkConfig(num_activities=3, base_width=2, mask_size=8, relation_width=8)
    sizes = ClipSizes(clips=1, frames=3, slots=2, config=config)
    record = record_of(measure(sizes, repeats=1, threads=1, growth=False))
    assert record["memory_ratio"] == record["reference_peak_bytes"] / record["ours_peak_bytes"]
    assert 0 <= record["largest_relative_difference"] < 1e-4
    assert (record["clips"], record["frames"], record["slots"], record["features"]) == (1, 3, 2, 16)


def test_peak_counts_what_is_held_at_once() -> None:
    def compute() -> None:
        for _ in range(3):
            first = torch.empty(2**18)
            second = torch.empty(2**17)
            del first, second

    assert peak_allocated_bytes(compute) == 4 * (2**18 + 2**17)


def test_refuses_sides_that_differ() -> None:
    assert require_agreement(1e-7, 1e-4) == 1e-7
    for difference in (2e-4, float("nan")):
        with pytest.raises(PipelineError, match=r"both sides differ by .* wanted at most 0.0001"):
            require_agreement(difference, 1e-4)


def test_growth_leaves_out_what_would_take_too_long() -> None:
    calls: list[str] = []

    def make(frames: int, slots: int) -> Sides:
        return Sides(
            ours={"ours": lambda: calls.append("ours")},
            reference=lambda: calls.append(f"reference {frames} {slots}"),
            reference_bytes=2**60 if slots == 5 else 1,
        )

    rows = grown(make, frames=4, slots=10, base_seconds=20.0)
    measured = {(row["frames"], row["slots"]): row["reference_seconds"] is not None for row in rows}
    no = dict.fromkeys(((4, 5), (4, 40), (8, 10), (16, 10)), False)  # the first: of its memory
    assert measured == no | {(4, 10): True, (4, 20): True}
    assert [call for call in calls if call != "ours"] == ["reference 4 10", "reference 4 20"]


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


def test_training_steps_agree_in_both_phases_and_precisions() -> None:
    usual = {"repeats": 1, "threads": 1, "growth": False, "device": "cpu"}
    for options in ({"phase": "object"}, {}):
        record = record_of(train_step.measure(SIZES, **usual, **options))
        assert record["gradient_relative_difference"] < 1e-6
        assert record["pixels"] == 128
        if options:
            assert record["phase"] == "object"
    assert record["bf16_ratio"] == pytest.approx(
        record["reference_seconds"] / record["bf16_seconds"]
    )
    assert record["losses"]["ours"] == pytest.approx(record["losses"]["reference"], rel=1e-4)
