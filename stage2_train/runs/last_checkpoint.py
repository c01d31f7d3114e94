"""The last checkpoint of a run, and the one before it, which is taken where the last is damaged.

Both are whole. While the next one is written they are two names of one file, so that they never
take more room than two checkpoints, which is what replacing a single one takes.
"""

import logging
import os
from pathlib import Path

from orn.shared.errors import CheckpointError, PipelineError
from orn.shared.jobs.atomic_file import replacing
from orn.stage2_train.runs.checkpoint import (
    BEST_NAME,
    Checkpoint,
    load_checkpoint,
    save_checkpoint,
)
from orn.stage2_train.runs.run_folder import LAST_NAME

logger = logging.getLogger(__name__)

PREVIOUS_NAME = "previous.pt"
DAMAGED_NAME = "damaged.pt"


def save_last(run: Path, checkpoint: Checkpoint) -> None:
    """Writes the last checkpoint of a run; the one that was there becomes the one before.

    Raises:
        PipelineError: if the disk refuses; what was there stays.
    """
    last, previous = run / LAST_NAME, run / PREVIOUS_NAME
    try:
        if last.is_file():
            _give_name(last, previous)
        else:
            previous.unlink(missing_ok=True)  # of another training
    except PipelineError as err:  # on a disk without hard links
        logger.warning("%s; the checkpoint before the last is not kept", err)
    save_checkpoint(last, checkpoint)


def load_last(run: Path, *, mend: bool) -> Checkpoint | None:
    """The last checkpoint of a run, or the one before if that is damaged; None if there is none.

    Args:
        run: the folder.
        mend: whether the one before takes the place of the damaged one, which is kept beside it;
            in one of several processes.

    Raises:
        CheckpointError: if both are damaged, or the only one.
    """
    last, previous = run / LAST_NAME, run / PREVIOUS_NAME
    if not last.is_file():
        return None
    try:
        return load_checkpoint(last)
    except CheckpointError as err:
        try:
            checkpoint = load_checkpoint(previous)
        except CheckpointError:
            raise err from None
        damage = err
    if mend:
        logger.warning(
            "%s; going on from %s, step %d; the damaged file is now %s",
            damage, PREVIOUS_NAME, checkpoint.state.step, DAMAGED_NAME,
        )  # fmt: skip
        _give_name(last, run / DAMAGED_NAME)
        _give_name(previous, last)  # there is a last checkpoint at every moment
    return checkpoint


def load_best(run: Path, *, phase: int) -> Checkpoint | None:
    """The best checkpoint of a phase that has just ended; None if nothing was validated in it.

    Raises:
        CheckpointError: if it is damaged, or that of a later phase has taken its place, as may be
            where the checkpoint before the last was taken.
    """
    path = run / BEST_NAME
    best = load_checkpoint(path) if path.is_file() else None
    if best is not None and best.state.phase > phase:
        raise CheckpointError(
            f"{path}: wanted the best checkpoint of phase {phase}, found one of phase "
            f"{best.state.phase}, which took its place; start another run"
        )
    return best if best is not None and best.state.phase == phase else None


def _give_name(path: Path, name: Path) -> None:
    """Makes `name` another name of a file, in place of what had it."""
    with replacing(name) as temporary:
        os.link(path, temporary)
