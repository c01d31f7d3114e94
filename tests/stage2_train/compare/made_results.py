"""Results of runs that never were."""

from typing import Any

from orn.stage2_train.settings.evaluation_names import HEADS
from tests.worlds.evaluations import evaluation_of, predicted

EVALUATION = {
    name: value
    for name, value in evaluation_of(predicted("+++-")).as_json().items()
    if name not in HEADS
}
"""What `orn eval` wrote, but for the heads."""


def made_results(
    percents: dict[str, tuple[float, ...]],
    *,
    settings: str = "",
    backbone: str | None = None,
    **figures: Any,
) -> list[dict[str, Any]]:
    """One a seed of each system; all have these figures of the whole run."""
    return [
        {
            "dataset": "demo",
            "split": "test",
            "run": f"runs/{system}/{settings}/seed{seed}",
            "commit": "abc",
            "threads": "1",
            "system": system,
            "settings": settings,
            "seed": seed,
            "backbone": backbone,
            "metric": "top1",
            "heads": {"two_heads": {"top1": percent / 100}},
            "whole": {"chance": 0.08, "num_segments": 100.0, **figures},
        }
        for system, own in percents.items()
        for seed, percent in enumerate(own)
    ]
