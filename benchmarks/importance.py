"""What it costs to say what every pair of a clip counts for, against a pass of the network."""

import time
from dataclasses import replace
from typing import Any

import torch

from orn.benchmarks.harness import BenchResult, seconds_in_turns, using_threads
from orn.benchmarks.model_inputs import ClipSizes, random_batch
from orn.stage2_train.insight.importance import explain
from orn.stage2_train.model.network import ObjectVideoNetwork

_SIZE = ClipSizes(clips=1)
_SIZES = ((4, 5), (4, 20), (8, 10), (8, 20))
"""Frames and objects, beside those of the result."""


def measure(sizes: ClipSizes = _SIZE, *, repeats: int, threads: int, growth: bool) -> BenchResult:
    """CPU seconds of the falls of all pairs and objects of a clip, beyond those of a pass."""
    with using_threads(threads):
        ours, reference, num_cliques = _seconds(sizes, repeats)
        details: dict[str, Any] = {
            "share_of_a_pass": ours / reference,
            "cliques": num_cliques,
            **sizes.as_json(),
            "clock": "CPU seconds of the process",
            "threads": threads,
            "repeats": repeats,
        }
        for frames, slots in _SIZES if growth else ():
            own, once, cliques = _seconds(replace(sizes, frames=frames, slots=slots), repeats)
            row = {"frames": frames, "slots": slots, "cliques": cliques, "ours_seconds": own}
            details.setdefault("growth", []).append(
                row | {"reference_seconds": once, "share_of_a_pass": own / once}
            )
    return BenchResult(name="importance", ours=ours, reference=reference, details=details)


def _seconds(sizes: ClipSizes, repeats: int) -> tuple[float, float, int]:
    """Of what explaining adds to a pass, of a pass, and how many cliques there are."""
    torch.manual_seed(0)
    network = ObjectVideoNetwork(sizes.config).eval()
    inputs = random_batch(sizes).inputs()

    @torch.inference_mode()
    def run() -> None:
        network(inputs)

    def all_falls() -> None:
        found = explain(network, inputs)
        assert found.fall_P.numel() and found.object_fall_BTK.numel()

    whole, once = seconds_in_turns(all_falls, run, repeats=repeats, clock=time.process_time)
    return whole - once, once, len(explain(network, inputs).clip_P)
