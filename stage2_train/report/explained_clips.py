"""The clips of a report: mistakes with their most important pairs of objects (figure 5 of the
paper), and clips to play.

A activity classes.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from orn.shared.devices import choose_device
from orn.shared.drawing.draw_frame import DrawnObjects
from orn.shared.jobs.progress import Reporter
from orn.shared.pages.render import Picture
from orn.shared.text import truncate
from orn.stage2_train.clips.batches import LoaderSettings, evaluation_loader
from orn.stage2_train.clips.clip_draws import FrameInput
from orn.stage2_train.clips.usable_segments import JoinedSplit
from orn.stage2_train.model.inputs import ClipBatch
from orn.stage2_train.report.class_pairs import ClassPairs
from orn.stage2_train.report.draw_clip import (
    Scene,
    draw_clip,
    frames_of_pair,
    spread,
    strip,
    webp,
)
from orn.stage2_train.report.eval_results import Measured, Outcome
from orn.stage2_train.report.importance import explain
from orn.stage2_train.report.label_doubts import Doubt
from orn.stage2_train.report.shown_clip import ShownClip, deciding_parts, seen_objects
from orn.stage2_train.runs.open_data import OpenedData
from orn.stage2_train.runs.trained import OpenedModel
from orn.stage2_train.settings.resources import DataAndDevice

_GROUPS, _OF_GROUP = 8, 2
"""Number of groups of mistakes, and number of clips in each group."""
_BATCH_SIZE = 8
_MOST_CLIPS = 400
"""Maximum number of clips to play and whose pairs are counted, spread over the split, besides those
shown for a reason."""
_LISTED_PAIRS = 3
_TALL, _SMALL = 240, 96
"""Height, in pixels, of clips with mistakes, and of clips that only the confusion matrix opens."""
MOST_DOUBTS = 60
"""Maximum number of clips whose labels are to be reviewed."""
_CLIPS_OF_WORKER = 64
"""Number of clips that load in about the time it takes to start a worker process."""

Case = tuple[int, int]
"""Index of a segment, and a class."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EvaluatedRun:
    """A network with the segments on which it was evaluated."""

    model: OpenedModel
    opened: OpenedData
    joined: JoinedSplit


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanations:
    """Explanations of the clips in a report."""

    mistakes: dict[tuple[int, int], list[Outcome]]
    """The most confident mistakes by cell of the confusion matrix, the largest cell first."""
    cases: dict[Case, dict[str, Any]] = field(default_factory=dict)
    """Texts and picture of each mistake, for the template."""
    strips: dict[int, Picture] = field(default_factory=dict)
    """Clips to play, by segment."""
    pairs: ClassPairs = field(default_factory=ClassPairs)
    doubts: Sequence[Doubt] | None = None
    """Segments whose label is doubted, the largest margin first; see `Measured.doubts`."""


def explain_clips(
    runs: Sequence[EvaluatedRun], measured: Measured, resources: DataAndDevice, reporter: Reporter
) -> Explanations:
    """Explain, in one pass over the clips, the mistakes and the true classes of other clips; clips
    whose label is doubted are only shown.

    Args:
        runs: one run, or the runs of all folds, whose segments follow each other in `measured`.
        measured: results of `orn eval`.
        resources: device and number of processes.
    """
    explained = Explanations(mistakes=_mistakes(measured), doubts=measured.doubts())
    ids, true_NA = measured.predictions.ids, measured.true_NA()
    sampled = spread(len(ids), _MOST_CLIPS)
    shown = {(own.row, own.activity) for cell in explained.mistakes.values() for own in cell}
    counted = {
        (row, activity) for row in sampled for activity in np.flatnonzero(true_NA[row]).tolist()
    }
    tall = {row for row, _ in shown}
    tall |= {doubt.row for doubt in (explained.doubts or ())[:MOST_DOUBTS]}
    classes_of: dict[int, list[int]] = {row: [] for row in (*tall, *sampled)}
    for row, activity in sorted(shown | counted):
        classes_of[row].append(activity)
    row_of = {ids[row]: row for row in classes_of}
    is_right_N = (true_NA == measured.predicted_NA()).all(axis=1)
    asked = {ids[row]: classes for row, classes in classes_of.items()}
    names = runs[0].opened.detections.detector.class_names
    with reporter.progress("report", total=len(asked), unit="clips") as bar:
        for batch, clips in chain.from_iterable(_explained(run, asked, resources) for run in runs):
            for index, id in enumerate(batch.ids):
                row = row_of[id]
                frames_TCHW = batch.required("frames_BTCHW")[index]
                explained.strips[row] = strip(
                    [*frames_TCHW.permute(0, 2, 3, 1).numpy()],
                    key=f"{row}",
                    rank=0 if row in tall else 3 if is_right_N[row] else 2,
                    tallest=_TALL if row in tall else _SMALL,
                )
            for (index, activity), clip in clips.items():
                case = row_of[batch.ids[index]], activity
                if case in counted and clip.pairs is not None:
                    explained.pairs.add(activity, clip)
                if case in shown:
                    scene = scene_of(batch, index, clip)
                    explained.cases[case] = _case(measured, case, clip, scene, names)
            bar.advance(len(batch))
    return explained


def _explained(
    run: EvaluatedRun, classes_of: Mapping[str, Sequence[int]], resources: DataAndDevice
) -> Iterator[tuple[ClipBatch, dict[tuple[int, int], ShownClip]]]:
    """Yield the clips of a run in batches, with the explanation of each class that is asked for, by
    the clip's index in the batch and the class."""
    model, joined = run.model, run.joined
    segments = tuple(segment for segment in joined.segments if segment.id in classes_of)
    clips = run.opened.clip_dataset(replace(joined, segments=segments), model.config.recipe)
    reads: frozenset[FrameInput] = frozenset({"frames", *clips.settings.reads})  # for the pictures
    clips.settings = replace(clips.settings, reads=reads)
    device = torch.device(choose_device(resources.device))
    network = model.network.to(device) if model.relates_pairs else None
    workers = min(resources.workers, len(segments) // _CLIPS_OF_WORKER)
    names = run.opened.detections.detector.class_names
    for batch in evaluation_loader(clips, LoaderSettings(batch_size=_BATCH_SIZE, workers=workers)):
        height, width = batch.crop
        asked = [(clip, label) for clip, id in enumerate(batch.ids) for label in classes_of[id]]
        if network is not None and asked:
            class_E = torch.tensor([label for _, label in asked]).to(device)
            inputs = batch.of_clips([clip for clip, _ in asked]).to(device)
            found = explain(network, inputs, heads=model.heads, class_B=class_E)
        yield (
            batch,
            {
                (clip, activity): ShownClip(
                    seconds=tuple(batch.seconds_BT[clip].tolist()),
                    objects=seen_objects(batch, clip, names, (0, 0, width, height)),
                    grid=(width, height),
                    activity=model.classes[activity],
                    pairs=None if network is None else found.pairs_of(index),
                )
                for index, (clip, activity) in enumerate(asked)
            },
        )


def scene_of(batch: ClipBatch, index: int, clip: ShownClip) -> Scene:
    """Return the frames of a clip of a batch, with objects on the grid of their masks."""

    def scene(frame: int) -> tuple[NDArray[np.uint8], DrawnObjects]:
        seen = [(slot, of) for slot, of in enumerate(clip.objects[frame]) if not of.is_whole_frame]
        covers_khw = batch.masks_BTKhw[index, frame].numpy()[[slot for slot, _ in seen]]
        (rows, columns), (width, height) = batch.masks_BTKhw.shape[3:], clip.grid
        boxes_k4 = np.array([of.box for _, of in seen], np.float32).reshape(-1, 4)
        objects = DrawnObjects(
            boxes=boxes_k4 * np.array([columns / width, rows / height] * 2, np.float32),
            covers=covers_khw,
            labels=np.array([of.label for _, of in seen], np.int64),
            scores=np.array([of.score for _, of in seen], np.float32),
        )
        return batch.required("frames_BTCHW")[index, frame].permute(1, 2, 0).numpy(), objects

    return scene


def _mistakes(measured: Measured) -> dict[tuple[int, int], list[Outcome]]:
    """Return the most confident mistakes in the largest cells of the confusion matrix."""
    cells: dict[tuple[int, int], list[Outcome]] = {}
    for mistake in measured.mistakes():
        cells.setdefault(mistake.cell, []).append(mistake)
    order = sorted(cells.items(), key=lambda cell: (-len(cell[1]), -cell[1][0].confidence))
    return {cell: mistakes[:_OF_GROUP] for cell, mistakes in order[:_GROUPS]}


def _case(
    measured: Measured, case: Case, clip: ShownClip, scene: Scene, names: Sequence[str]
) -> dict[str, Any]:
    """Return the texts and the picture of a mistake; the class of a missed label is called `not`
    predicted, and explained by the pairs that oppose it."""
    (row, label), classes, id = case, measured.classes, measured.predictions.ids[case[0]]
    true_A, activity = measured.true_NA()[row], truncate(clip.activity, 60)
    missed, chance = bool(true_A[label]), float(measured.probability_NA[row, label])
    logits = {name: own_NA[row] for name, own_NA in measured.predictions.by_head().items()}
    decided = replace(clip, decided_by=deciding_parts(logits, label))
    why = " ".join(clip.sentences(_LISTED_PAIRS, against=missed))
    frames = frames_of_pair(clip, against=missed) or sorted({0, len(clip.seconds) - 1})
    return {
        "row": row,
        "id": id,
        "picture": Picture(
            key=f"case-{row}-{label}",
            data=webp(draw_clip(clip, scene, names, frames=frames, against=missed)),
            alt=f"Frames of {truncate(id)}. {why}",
            rank=1,
        ),
        "predicted": f"{'not ' if missed else ''}{activity}",
        "chance": 1 - chance if missed else chance,
        "true": ", ".join(truncate(classes[at], 60) for at in np.flatnonzero(true_A)) or "none",
        "why": why,
        "decided": decided.decided_text(),
        "detected": clip.detected_text(),
    }
