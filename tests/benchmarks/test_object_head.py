"""`orn bench object-head` at a tiny size: what it reports, and when it refuses to."""

import json

import pytest
import torch

from orn.benchmarks.harness import Sides, grown, peak_allocated_bytes, require_agreement
from orn.benchmarks.model_inputs import ClipSizes
from orn.benchmarks.object_head import measure
from orn.shared.errors import PipelineError
from orn.stage2_train.model.config import NetworkConfig


def test_reports_times_memory_and_agreement() -> None:
    config = NetworkConfig(num_activities=3, base_width=2, mask_size=8, relation_width=8)
    sizes = ClipSizes(clips=1, frames=3, slots=2, config=config)
    result = measure(sizes, repeats=1, threads=1, growth=False)
    record = json.loads(json.dumps(result.as_json(), allow_nan=False))
    assert record["ratio"] == pytest.approx(record["reference_seconds"] / record["ours_seconds"])
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
    assert measured == {
        (4, 5): False,  # more than the memory
        (4, 10): True,
        (4, 20): True,
        (4, 40): False,
        (8, 10): False,
        (16, 10): False,
    }
    assert [call for call in calls if call != "ours"] == ["reference 4 10", "reference 4 20"]
