"""What intervals cost: figures of kept logits for resamples of a made split, in CPU seconds.

python -m orn.benchmarks.bootstrap [--classes 97 --classes 2513] [--draws 10000] [--out FILE]
"""

import time
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch

from orn.benchmarks.harness import describe_machine, keep, peak_bytes
from orn.stage2_train.evaluation.figures import measured_figures
from orn.stage2_train.evaluation.predictions import Predictions


def made_predictions(
    num_segments: int, num_classes: int, *, per_video: int = 4, seed: int = 0
) -> Predictions:
    """One head that is right now and then, on classes as uneven as those of EPIC."""
    rng = np.random.default_rng(seed)
    shares_A = 1 / np.arange(1, num_classes + 1)
    labels_N = rng.choice(num_classes, size=num_segments, p=shares_A / shares_A.sum())
    logits_NA = rng.standard_normal((num_segments, num_classes), np.float32)
    logits_NA[np.arange(num_segments), labels_N] += 3
    return Predictions(
        ids=tuple(f"segment-{number}" for number in range(num_segments)),
        labels=labels_N,
        activity_logits=None,
        object_logits=logits_NA,
        groups=tuple(f"video-{number // per_video}" for number in range(num_segments)),
    )


@click.command()
@click.option("--segments", type=click.IntRange(2), default=27_000, show_default=True)
@click.option("--classes", type=click.IntRange(2), multiple=True, default=(97, 2513))
@click.option("--draws", type=click.IntRange(2), default=10_000, show_default=True)
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False))
def bootstrap(segments: int, classes: tuple[int, ...], draws: int, out: Path | None) -> None:
    """Measure the intervals of one head on one thread."""
    torch.set_num_threads(1)
    rows: list[dict[str, Any]] = []
    for num_classes in classes:
        predictions = made_predictions(segments, num_classes)
        began = time.process_time()
        found = measured_figures(predictions, num_draws=draws)
        seconds = time.process_time() - began
        rows.append(
            {
                "classes": num_classes,
                "cpu_seconds": round(seconds, 2),
                "peak_memory_bytes": peak_bytes(),
                "top1": found["figures"]["object_head"]["top1"],
            }
        )
        click.echo(f"{num_classes} classes: {seconds:.1f} s of one core")
    record = {
        "command": "python -m orn.benchmarks.bootstrap",
        "segments": segments,
        "draws": draws,
        "rows": rows,
        "machine": describe_machine(),
    }
    keep(record, out)


if __name__ == "__main__":
    bootstrap()
