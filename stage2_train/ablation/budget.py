"""Trainings of equal time: as many steps as fit into so many seconds, by a rate that is measured.

Each phase of each system is trained for a few steps first, in a folder rate-PHASE beside its runs,
with as many trainings at a time as will run later. Both phases then are longer or shorter than the
recipe's by one factor, so that schedules of the learning rate end where a training ends. The
measured folders stay: a comparison that is gone on with has the same steps.
"""

import statistics
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from orn.shared.errors import TrainingError
from orn.stage2_train.ablation.execute import carry_out, train_request
from orn.stage2_train.ablation.plan import AblationRequest, AblationRun
from orn.stage2_train.ablation.run_figures import numbers_of
from orn.stage2_train.runs.run_folder import METRICS_NAME, read_jsonl
from orn.stage2_train.training.train import describe_training

MEASURED_STEPS = 20
"""Of a phase, for its rate."""
_STEPS_A_LINE = 4
_LINES = MEASURED_STEPS // _STEPS_A_LINE
_FIRST_PHASE, _SECOND_PHASE = "phases.object_head_steps", "phases.steps"


def within_budget(runs: Sequence[AblationRun], request: AblationRequest) -> tuple[AblationRun, ...]:
    """The runs, with as many steps as take `request.budget` seconds.

    Raises:
        TrainingError: if a rate could not be measured.
    """
    if request.budget is None:
        return tuple(runs)
    steps_of: dict[Path, dict[str, int]] = {}
    trials: dict[tuple[Path, str], AblationRun] = {}
    for run in runs:
        folder = run.folder.parent
        if folder not in steps_of:
            wanted = replace(train_request(run, request), run=folder / "rate")
            steps_of[folder] = describe_training(wanted)["steps"]
            for phase in steps_of[folder]:
                trials[folder, phase] = _trial(run, phase)
    left = [trial for trial in trials.values() if len(_lines(trial)) < _LINES]
    carry_out(left, request, split=None, max_steps=MEASURED_STEPS)
    rates = {key: _seconds_a_step(trial) for key, trial in trials.items()}
    settings: dict[Path, tuple[str, ...]] = {}
    for folder, steps in steps_of.items():
        usual = sum(number * rates[folder, phase] for phase, number in steps.items())
        lengths = [max(1, round(request.budget / usual * number)) for number in steps.values()]
        *first, last = lengths
        settings[folder] = (f"{_FIRST_PHASE}={sum(first)}", f"{_SECOND_PHASE}={last}")
    return tuple(
        replace(run, overrides=(*run.overrides, *settings[run.folder.parent])) for run in runs
    )


def _trial(run: AblationRun, phase: str) -> AblationRun:
    """A training whose first phase is this one."""
    first = 2 * MEASURED_STEPS if phase == "object_head" else 0
    own = (
        f"log_every_steps={_STEPS_A_LINE}",
        f"{_FIRST_PHASE}={first}",
        f"{_SECOND_PHASE}={2 * MEASURED_STEPS}",
    )
    folder = run.folder.parent / f"rate-{phase}"
    return replace(run, folder=folder, overrides=(*run.overrides, *own))


def _lines(trial: AblationRun) -> list[float]:
    """Seconds of each line of its log."""
    rows = read_jsonl(trial.folder / METRICS_NAME)
    return numbers_of((row for row in rows if row.get("group") == "train"), "seconds")


def _seconds_a_step(trial: AblationRun) -> float:
    """The median of all lines but the first, in which everything is done for the first time."""
    lines = _lines(trial)
    if len(lines) < _LINES:
        raise TrainingError(
            f"{trial.folder}: wanted {_LINES} lines with seconds in {METRICS_NAME}, found "
            f"{len(lines)}; remove the folder and run the comparison again"
        )
    return statistics.median(lines[1:]) / _STEPS_A_LINE
