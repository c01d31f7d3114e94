"""The explained clips of a report: mistakes with their most important pairs of objects (figure 5 of
the paper), and the pairs of object classes that matter for each activity (figure 4).

Each pair of objects in an explained clip belongs to the two objects' detector classes. For an
activity and two classes, `ClassPairs` counts the clips that contain such a pair, and averages the
logit drop of each clip's strongest one.

A activity classes, P pairs.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from orn.shared.devices import choose_device
from orn.shared.drawing.draw_frame import DrawnObjects
from orn.shared.jobs.progress import progress
from orn.shared.pages.render import Picture
from orn.shared.text import truncate
from orn.stage2_train.clips.batches import LoaderSettings, evaluation_loader
from orn.stage2_train.clips.join import JoinedSplit
from orn.stage2_train.clips.sampling import FrameInput
from orn.stage2_train.explanation.draw_clip import (
    Scene,
    draw_clip,
    frames_of_pair,
    spread,
    strip,
    webp,
)
from orn.stage2_train.explanation.focus import focus_of
from orn.stage2_train.explanation.importance import explain
from orn.stage2_train.explanation.shown_clip import ShownClip, deciding_parts, seen_objects
from orn.stage2_train.model.inputs import ClipBatch
from orn.stage2_train.report.label_doubts import Doubt
from orn.stage2_train.report.measured import Measured, Mistake
from orn.stage2_train.runs.open_data import Sources
from orn.stage2_train.runs.trained import OpenedModel
from orn.stage2_train.settings.resources import Resources

_GROUPS, _OF_GROUP = 8, 2
"""Number of groups of mistakes, and number of clips in each group."""
_BATCH_SIZE = 16
_MOST_COUNTED = 400
"""Maximum number of clips whose pairs are counted, spread over the split."""
_LISTED_PAIRS = 3
_TALL, _SMALL = 240, 96
"""Height, in pixels, of clips with mistakes, and of clips that only the confusion matrix opens."""
MOST_DOUBTS = 60
"""Maximum number of clips whose labels are to be reviewed."""
_CLIPS_OF_WORKER = 64
"""Number of clips that load in about the time it takes to start a worker process."""

_LEAST_CLIPS, _LEAST_SHARE = 2, 0.05
"""Minimum number and fraction of an activity's clips with both classes of a ranked pair."""

Case = tuple[int, int]
"""Index of a segment, and a class."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ClassPairs:
    """Pairs of object classes in the explained clips."""

    num_clips: Counter[int] = field(default_factory=Counter)
    """Number of explained clips of each activity."""
    _drops: dict[tuple[int, int, int], list[float]] = field(default_factory=dict)
    """Logit drops of the strongest pair of each clip, by activity and both classes."""

    def add(self, activity: int, clip: ShownClip) -> None:
        """Add the pairs of a clip; those with the background are omitted, because it occurs in
        every clip."""
        self.num_clips[activity] += 1
        strongest: dict[tuple[int, int], float] = {}
        for pair in clip.pairs or ():
            first, second = (seen for seen, _ in clip.members(pair))
            if not (first.is_whole_frame or second.is_whole_frame):
                low, high = sorted((first.label, second.label))
                strongest.setdefault((low, high), pair.logit_drop)
        for classes, drop in strongest.items():
            self._drops.setdefault((activity, *classes), []).append(drop)

    def ranked(self, activity: int) -> list[tuple[int, int, float]]:
        """Return the pairs of classes that occur in enough clips, the lower class first, with the
        logit drop averaged over these clips, in decreasing order."""
        least = max(_LEAST_CLIPS, _LEAST_SHARE * self.num_clips[activity])
        often = [
            (first, second, sum(drops) / len(drops))
            for (of, first, second), drops in sorted(self._drops.items())
            if of == activity and len(drops) >= least
        ]
        return sorted(often, key=lambda pair: -pair[2])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EvaluatedRun:
    """A network with the segments on which it was evaluated."""

    model: OpenedModel
    sources: Sources
    joined: JoinedSplit


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanations:
    """Explanations of the clips in a report."""

    names: tuple[str, ...]
    """Names of the detector's classes."""
    mistakes: dict[tuple[int, int], list[Mistake]]
    """The most confident mistakes by cell of the confusion matrix, the largest cell first."""
    cases: dict[Case, dict[str, Any]] = field(default_factory=dict)
    """Texts and picture of each mistake, for the template."""
    strips: dict[int, Picture] = field(default_factory=dict)
    """Clips to play, by segment."""
    pairs: ClassPairs = field(default_factory=ClassPairs)
    doubts: Sequence[Doubt] | None = None
    """Segments whose label is doubted, the largest margin first; see `Measured.doubts`."""


def explain_clips(
    runs: Sequence[EvaluatedRun], measured: Measured, resources: Resources
) -> Explanations:
    """Explain, in one pass over the clips, the mistakes and the true classes of other clips; clips
    whose label is doubted are only shown.

    Args:
        runs: one run, or the runs of all folds, whose segments follow each other in `measured`.
        measured: results of `orn eval`.
        resources: device and number of processes.
    """
    true_NA = measured.true_NA()
    names = tuple(runs[0].sources.detections.detector.class_names)
    explained = Explanations(names=names, mistakes=_mistakes(measured), doubts=measured.doubts())
    shown = {
        (mistake.row, mistake.activity)
        for mistakes in explained.mistakes.values()
        for mistake in mistakes
    }
    counted = {
        (row, activity)
        for row in spread(len(true_NA), _MOST_COUNTED)
        for activity in np.flatnonzero(true_NA[row]).tolist()
    }
    asked: dict[int, list[int]] = {}
    for row, activity in sorted(counted | shown):
        asked.setdefault(row, []).append(activity)
    tall = {row for row, _ in shown}
    for doubt in (explained.doubts or ())[:MOST_DOUBTS]:
        asked.setdefault(doubt.row, [*(doubt.suggested or doubt.given)[:1]])
        tall.add(doubt.row)
    row_of = {measured.predictions.ids[row]: row for row in asked}
    is_right_N = (true_NA == measured.predicted_NA()).all(axis=1)
    with progress("report", total=len(asked), unit="clips") as bar:
        classes_of = {measured.predictions.ids[row]: classes for row, classes in asked.items()}
        for batch, index, activity, clip in chain.from_iterable(
            _explained(run, classes_of, resources, bar.advance) for run in runs
        ):
            row = row_of[batch.ids[index]]
            if row not in explained.strips:
                rank = 0 if row in tall else 3 if is_right_N[row] else 2
                tallest = _TALL if row in tall else _SMALL
                frames_TCHW = batch.required("frames_BTCHW")[index]
                frames = [*frames_TCHW.permute(0, 2, 3, 1).numpy()]
                explained.strips[row] = strip(frames, key=f"{row}", rank=rank, tallest=tallest)
            if (row, activity) in counted and clip.pairs is not None:
                explained.pairs.add(activity, clip)
            if (row, activity) in shown:
                explained.cases[row, activity] = _case(
                    measured, (row, activity), clip, scene_of(batch, index, clip), names
                )
    return explained


def _explained(
    run: EvaluatedRun,
    classes_of: Mapping[str, Sequence[int]],
    resources: Resources,
    advance: Callable[[int], None],
) -> Iterator[tuple[ClipBatch, int, int, ShownClip]]:
    """Yield each clip of a run once per class to explain: its batch, its index in the batch, the
    class, and the explanation."""
    model, joined = run.model, run.joined
    segments = tuple(segment for segment in joined.segments if segment.id in classes_of)
    clips = run.sources.clip_dataset(replace(joined, segments=segments), model.config.recipe)
    reads: frozenset[FrameInput] = frozenset({"frames", *clips.settings.reads})  # for the pictures
    clips.settings = replace(clips.settings, reads=reads)
    device = torch.device(choose_device(resources.device))
    network = model.network.to(device) if model.relates_pairs else None
    workers = min(resources.workers, len(segments) // _CLIPS_OF_WORKER)
    names = run.sources.detections.detector.class_names
    for batch in evaluation_loader(clips, LoaderSettings(batch_size=_BATCH_SIZE, workers=workers)):
        height, width = batch.crop
        objects = [
            seen_objects(batch, clip, names, (0, 0, width, height)) for clip in range(len(batch))
        ]
        asked = [(clip, label) for clip, id in enumerate(batch.ids) for label in classes_of[id]]
        for start in range(0, len(asked), len(batch)):
            part = asked[start : start + len(batch)]
            if network is not None:
                class_E = torch.tensor([label for _, label in part])
                inputs = batch.of_clips([clip for clip, _ in part]).to(device)
                found = explain(network, inputs, heads=model.heads, class_B=class_E.to(device))
                focus = focus_of(network, inputs, class_E.to(device))
            for index, (clip, activity) in enumerate(part):
                yield (
                    batch,
                    clip,
                    activity,
                    ShownClip(
                        seconds=tuple(batch.seconds_BT[clip].tolist()),
                        objects=objects[clip],
                        grid=(width, height),
                        activity=model.classes[activity],
                        pairs=None if network is None else found.pairs_of(index),
                        focus=focus[index] if network is not None and focus else None,
                    ),
                )
        advance(len(batch))


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


def _mistakes(measured: Measured) -> dict[tuple[int, int], list[Mistake]]:
    """Return the most confident mistakes in the largest cells of the confusion matrix."""
    cells: dict[tuple[int, int], list[Mistake]] = {}
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
        "decided": " ".join(filter(None, (decided.decided_text(), clip.focus_text()))),
        "detected": clip.detected_text(),
    }
