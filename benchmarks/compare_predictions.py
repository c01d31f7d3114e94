"""What `orn predict --json` said, against what `orn eval` kept and against true segments.

    python -m orn.benchmarks.compare_predictions LINES.jsonl --eval RUN/predictions-validation.npz
    python -m orn.benchmarks.compare_predictions LINES.jsonl --labels data/demo-long/labels.csv

Videos are told by the names of their files, which are the ids of the demo.
"""

import csv
import json
from collections import defaultdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import click
import numpy as np

from orn.shared.cli_options import echo_json
from orn.stage2_train.evaluation.predictions import load_predictions

_HEADS = {
    "two_heads": "logits",
    "activity_head": "activity_logits",
    "object_head": "object_logits",
}
_Stretch = tuple[float, float, str]
"""Start, end, class."""


def against_eval(lines: list[dict[str, Any]], kept: Path) -> dict[str, Any]:
    """The largest difference of a logit of any head."""
    predictions = load_predictions(kept)
    windows = {Path(each["video"]).stem: each for each in lines if each["kind"] == "window"}
    rows = [(row, windows[id]) for row, id in enumerate(predictions.ids) if id in windows]
    differences = [
        float(np.abs(np.array(found) - getattr(predictions, _HEADS[head])[row]).max())
        for row, window in rows
        for head, found in window["logits"].items()
    ]
    return {"videos": len(rows), "largest_difference": max(differences)}


def against_labels(lines: list[dict[str, Any]], labels: Path) -> dict[str, Any]:
    """Mean over true segments of the best overlap (intersection over union) with a stretch that is
    said, of any class and of the same one; and of stretches of equal length, as many as are said.
    """
    said, true = defaultdict(list), defaultdict(list)
    for each in lines:
        if each["kind"] == "segment":
            stretch = (each["start"], each["end"], each["labels"][0])
            said[Path(each["video"]).stem].append(stretch)
    with labels.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            true[row["video"]].append((float(row["start"]), float(row["stop"]), row["label"]))
    best: dict[str, list[float]] = {"any_class": [], "same_class": [], "equal_lengths": []}
    for video, stretches in said.items():
        ends = np.linspace(stretches[0][0], stretches[-1][1], len(stretches) + 1).tolist()
        even = [(*each, "") for each in pairwise(ends)]
        for segment in true[video]:
            same = [each for each in stretches if each[2] == segment[2]]
            best["any_class"].append(_best(segment, stretches))
            best["same_class"].append(_best(segment, same))
            best["equal_lengths"].append(_best(segment, even))
    means = {f"mean_iou_{name}": float(np.mean(values)) for name, values in best.items()}
    return {"videos": len(said), "segments": len(best["any_class"]), **means}


def _best(segment: _Stretch, stretches: list[_Stretch]) -> float:
    begin, end, _ = segment
    overlaps = [
        (min(end, stop) - max(begin, start)) / (max(end, stop) - min(begin, start))
        for start, stop, _ in stretches
    ]
    return max([0.0, *overlaps])


@click.command()
@click.argument("lines", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--eval", "kept", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--labels", type=click.Path(path_type=Path, exists=True, dir_okay=False))
def compare(lines: Path, kept: Path | None, labels: Path | None) -> None:
    """Print how LINES compare, as JSON."""
    said = [json.loads(line) for line in lines.read_text("utf-8").splitlines()]
    found: dict[str, Any] = {}
    if kept is not None:
        found |= against_eval(said, kept)
    if labels is not None:
        found |= against_labels(said, labels)
    echo_json(found)


if __name__ == "__main__":
    compare()
