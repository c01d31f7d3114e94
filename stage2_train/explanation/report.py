"""The job of `orn report`: an offline page about a run, RUN/report.html."""

import time
from pathlib import Path
from typing import Any

import torch

from orn.shared.errors import JoinError
from orn.shared.jobs.atomic_file import write_text
from orn.shared.jobs.outputs import check_room
from orn.shared.manifests.records import Split
from orn.shared.text import counted
from orn.stage2_train.explanation.cases import explain_clips
from orn.stage2_train.explanation.curves import training_curves
from orn.stage2_train.explanation.measured import Measured, load_measured
from orn.stage2_train.explanation.report_view import report_page
from orn.stage2_train.resources import Resources
from orn.stage2_train.runs.trained import OpenedModel, open_model, paths_of_run, sources_of_run

_USUAL = Resources()


def write_report(
    run: Path, *, split: Split = "validation", resources: Resources = _USUAL
) -> dict[str, Any]:
    """Write the page for a run; evaluate the run first if necessary.

    Args:
        run: the run folder.
        split: split to report on.
        resources: paths of the data, and the device.

    Returns:
        `report`, `bytes`, `seconds`.

    Raises:
        CheckpointError: if the run has no checkpoint, or its evaluation is damaged.
        JoinError: if different segments were evaluated.
    """
    started = time.monotonic()
    model = open_model(run, device="cpu")
    check_room(run)
    torch.set_num_threads(resources.num_threads())
    measured = _measured(model, split, resources)
    sources = sources_of_run(run, model.config, resources)
    joined = sources.join(split, model.config.recipe)
    if tuple(segment.id for segment in joined.segments) != measured.predictions.ids:
        raise JoinError(
            f"{run}: expected the {counted(measured.file.num_segments, 'segment')} of {split} "
            f"evaluated by `orn eval`, got {len(joined.segments)} different ones; evaluate the run "
            "again"
        )
    html = report_page(
        model,
        measured,
        explain_clips(model, measured, joined, sources, resources),
        paths=paths_of_run(run, model.config, resources),
        detector=sources.detector,
        segments=joined.segments,
        curves=training_curves(run, measured.file.metric, measured.file.chance),
    )
    write_text(run / "report.html", html)
    return {
        "report": str(run / "report.html"),
        "bytes": len(html.encode()),
        "seconds": round(time.monotonic() - started, 1),
    }


def _measured(model: OpenedModel, split: Split, resources: Resources) -> Measured:
    measured = load_measured(model.path, split, model.classes, step=model.step)
    if measured is None:
        from orn.stage2_train.evaluation.evaluate import evaluate
        from orn.stage2_train.requests import EvalRequest

        evaluate(EvalRequest(run=model.path, split=split, resources=resources))
        measured = load_measured(model.path, split, model.classes, step=model.step)
        assert measured is not None
    return measured
