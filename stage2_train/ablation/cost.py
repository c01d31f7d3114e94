"""What a system's trainings cost: steps and speed, as its runs logged them."""

import statistics
from collections.abc import Sequence
from pathlib import Path

from stage2_train.runs.run_folder import read_jsonl
from stage2_train.training.metrics_log import METRICS_NAME

__all__ = ["training_cost"]


def training_cost(folders: Sequence[Path]) -> dict[str, float | int | None]:
    """`steps` of one run, and `clips_per_second`, the median of all that its runs logged.

    Rates of trainings that shared the cores with others say what the experiment took; what a system
    takes alone may differ.

    Args:
        folders: of the runs of one system; None stands for what they did not log.
    """
    rows = [
        row
        for folder in folders
        for row in read_jsonl(folder / METRICS_NAME)
        if row.get("group") == "train"
    ]
    rates = [row["clips_per_second"] for row in rows if "clips_per_second" in row]
    return {
        "steps": max((row["step"] for row in rows), default=None),
        "clips_per_second": round(statistics.median(rates), 1) if rates else None,
    }
