"""Does a trained system see the arrow of time? Films run backwards against their mirrored label.

Half of the demo's activities become another one when the film runs backwards: putting in becomes
taking out. A system that orders frames names the mirrored activity then; one that does not goes on
naming the old one.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orn.demo.world.dials import ACTIVITIES, MIRRORED
from orn.shared.errors import ConfigError
from orn.shared.jobs.atomic_file import write_text
from orn.shared.text import counted
from orn.stage2_train.evaluation.evaluate import EvalRequest, evaluate
from orn.stage2_train.resources import Resources

TURNED = tuple(sorted(activity for activity, mirror in MIRRORED.items() if mirror != activity))
"""Activities that become another one."""


def measure_reversed(run: Path, *, split: str, device: str) -> dict[str, Any]:
    """Evaluates a run forward and backwards; the figures are also written to
    RUN/reversed-SPLIT.json.

    Raises:
        ConfigError: if the run is not one of the demo's twelve activities.
        CheckpointError: if the run has no checkpoint.
    """
    forward, backward = (
        evaluate(
            EvalRequest(run=run, resources=Resources(device=device), split=split, frame_order=order)
        )
        for order in (None, "reversed")
    )
    figures = reversed_figures(forward, backward)
    write_text(run / f"reversed-{split}.json", json.dumps(figures, indent=2) + "\n")
    return figures


def reversed_figures(forward: dict[str, Any], backward: dict[str, Any]) -> dict[str, Any]:
    """From two reports of `orn eval` of one run on the same split: `num_segments`, the clips of
    activities that become another one when reversed, and the shares of them that are named rightly
    with the film `forward`, and backwards after the `mirrored` and the `original` activity.

    Args:
        forward: with frames in time.
        backward: with `--frame-order reversed`.

    Raises:
        ConfigError: if the run is not one of the demo's twelve activities, or has none of the clips
            in question.
    """
    names = tuple(row["class"] for row in forward["per_class"])
    if names != ACTIVITIES or "confusion_counts" not in forward:
        raise ConfigError(
            f"{forward['run']}: wanted a run on the demo's {len(ACTIVITIES)} activities, found one "
            f"of {counted(len(names), 'class', 'classes')}"
        )
    ahead_AA, back_AA = (_confusion(report) for report in (forward, backward))
    num_segments = int(ahead_AA[list(TURNED)].sum())
    if num_segments == 0 or back_AA.sum() != ahead_AA.sum():
        raise ConfigError(f"{forward['run']}: wanted both reports on the same clips, some of them "
                          "of activities that have a mirror")  # fmt: skip
    mirrors = [MIRRORED[activity] for activity in TURNED]
    return {
        "num_segments": num_segments,
        "forward": _share(ahead_AA, TURNED),
        "mirrored": _share(back_AA, mirrors),
        "original": _share(back_AA, TURNED),
    }


def reversed_text(figures: dict[str, Any]) -> str:
    """The figures for people."""
    shares = (f"{100 * figures[each]:.1f} %" for each in ("forward", "mirrored", "original"))
    return (
        "{} of activities that become another one backwards: forward {} right; backwards {} "
        "under the mirrored label, {} under the original one"
    ).format(counted(figures["num_segments"], "clip"), *shares)


def _confusion(report: dict[str, Any]) -> NDArray[np.int64]:
    """(A, A) counts: rows are the true activities, columns those that are named."""
    counts_AA = np.zeros((len(ACTIVITIES), len(ACTIVITIES)), np.int64)
    for activity, named, count in report["confusion_counts"]:
        counts_AA[activity, named] = count
    return counts_AA


def _share(confusion_AA: NDArray[np.int64], named: Sequence[int]) -> float:
    """Share of the clips of `TURNED` for which the activity in the same place is named."""
    return float(confusion_AA[TURNED, named].sum() / confusion_AA[list(TURNED)].sum())
