"""Where a training stands, in a small file for those who do not open checkpoints."""

import json
from collections.abc import Sequence
from pathlib import Path

from shared.jobs.atomic_file import write_text
from stage2_train.runs.checkpoint import TrainingState
from stage2_train.runs.phases import Phase
from stage2_train.runs.run_folder import STATE_NAME


def write_standing(
    run: Path, state: TrainingState, phases: Sequence[Phase], *, metric: str, seconds: float
) -> None:
    """Writes it whole, after the checkpoint of the same state.

    Args:
        run: the folder.
        state: of the training.
        phases: of the recipe.
        metric: `top1` or `map`.
        seconds: of training so far, without validation.

    Raises:
        PipelineError: if the disk refuses.
    """
    standing = {
        "step": state.step,
        "num_steps": sum(phase.num_steps for phase in phases),
        "phase": phases[state.phase].name,
        "finished": state.is_finished(len(phases)),
        "metric": metric,
        "best_metric": state.best_metric,
        "best_step": state.best_step,
        "seconds": seconds,
    }
    write_text(run / STATE_NAME, json.dumps(standing) + "\n")
