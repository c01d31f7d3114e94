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

import numpy as np
import torch
from numpy.typing import NDArray

from orn.shared.devices import choose_device
from orn.shared.jobs.progress import progress
from orn.shared.pages.render import Picture
from orn.shared.text import truncate
from orn.stage2_train.clips.join import JoinedSplit
from orn.stage2_train.explanation.explained import (
    DECIDED,
    LEAST_DROP,
    ExplainedClip,
    draw_pairs,
    explained_clips,
    matters,
    spread,
    strip,
    webp,
)
from orn.stage2_train.report.measured import Measured, Mistake
from orn.stage2_train.runs.open_data import Sources
from orn.stage2_train.runs.trained import OpenedModel
from orn.stage2_train.settings.resources import Resources

_GROUPS, _OF_GROUP = 8, 2
"""Number of groups of mistakes, and number of clips in each group."""
_MOST_COUNTED = 400
"""Maximum number of clips whose pairs are counted, spread over the split."""
_LISTED_PAIRS = 3
_TALL, _SMALL = 240, 96
"""Height, in pixels, of clips with mistakes, and of clips that only the confusion matrix opens."""
_CLIPS_OF_WORKER = 64
"""Number of clips that load in about the time it takes to start a worker process."""

_LEAST_CLIPS, _LEAST_SHARE = 2, 0.05
"""Minimum number and fraction of an activity's clips with both classes of a ranked pair."""

Place = tuple[int, int]
"""Index of a segment, and a class."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassPair:
    """Two object classes in the clips of one activity."""

    first: int
    second: int
    """At least `first`."""
    num_clips: int
    drop: float
    """Logit drop of the strongest pair in a clip, averaged over the clips."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ClassPairs:
    """Sums over the explained clips, by activity and both classes."""

    background: int
    """Class of the background object, the last one."""
    num_clips: Counter[int] = field(default_factory=Counter)
    """Number of explained clips of each activity."""
    _clips: Counter[tuple[int, int, int]] = field(default_factory=Counter)
    _drops: dict[tuple[int, int, int], float] = field(default_factory=dict)

    def add(self, activity: int, labels_2P: NDArray[np.int64], drop_P: NDArray[np.float64]) -> None:
        """Add the pairs of one clip.

        Args:
            activity: the explained class.
            labels_2P: (2, P) detector classes of both objects.
            drop_P: (P,) logit drops.
        """
        self.num_clips[activity] += 1
        strongest: dict[tuple[int, int], float] = {}
        pairs = zip(np.sort(labels_2P, axis=0).T.tolist(), drop_P.tolist(), strict=True)
        for (first, second), drop in pairs:
            strongest[first, second] = max(strongest.get((first, second), drop), drop)
        for classes, drop in strongest.items():
            key = (activity, *classes)
            self._clips[key] += 1
            self._drops[key] = self._drops.get(key, 0.0) + drop

    def ranked(self, activity: int) -> list[ClassPair]:
        """Return the pairs of classes that occur often enough, by decreasing logit drop.

        Pairs with the background are omitted, because it occurs in every clip.
        """
        least = max(_LEAST_CLIPS, _LEAST_SHARE * self.num_clips[activity])
        often = [
            ClassPair(first=first, second=second, num_clips=clips, drop=self._drops[key] / clips)
            for key, clips in sorted(self._clips.items())
            for of, first, second in [key]
            if of == activity and clips >= least and second != self.background
        ]
        return sorted(often, key=lambda pair: -pair.drop)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EvaluatedRun:
    """A network with the segments on which it was evaluated."""

    model: OpenedModel
    sources: Sources
    joined: JoinedSplit


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Case:
    """A mistake: a clip and a class."""

    row: int
    """Index of the segment."""
    id: str
    picture: Picture
    predicted: str
    """Predicted class, or `not` followed by a class that is not predicted."""
    chance: float
    """Probability of the prediction."""
    true: str
    """True classes."""
    why: str
    """Effect of the most important pairs; empty if the network does not relate pairs."""
    decided: str
    """Head that determined the prediction; empty with a single head."""
    detected: str
    """Detected classes with their highest scores."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanations:
    """Explanations of the clips in a report."""

    pairs: ClassPairs
    names: tuple[str, ...]
    """Names of the detector's classes."""
    mistakes: dict[tuple[int, int], list[Mistake]]
    """The most confident mistakes by cell of the confusion matrix, the largest cell first."""
    cases: dict[Place, Case] = field(default_factory=dict)
    strips: dict[int, Picture] = field(default_factory=dict)
    """Clips to play, by segment."""


def explain_clips(
    runs: Sequence[EvaluatedRun], measured: Measured, resources: Resources
) -> Explanations:
    """Explain, in one pass over the clips, the mistakes and the true classes of other clips.

    Args:
        runs: one run, or the runs of all folds, whose segments follow each other in `measured`.
        measured: results of `orn eval`.
        resources: device and number of processes.
    """
    true_NA = measured.true_NA()
    names = tuple(runs[0].sources.detections.detector.class_names)
    explained = Explanations(
        pairs=ClassPairs(background=len(names)), names=names, mistakes=_mistakes(measured)
    )
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
    tall, row_of = {row for row, _ in shown}, {measured.predictions.ids[row]: row for row in asked}
    is_right_N = (true_NA == measured.predicted_NA()).all(axis=1)
    with progress("report", total=len(asked), unit="clips") as bar:
        classes_of = {measured.predictions.ids[row]: classes for row, classes in asked.items()}
        for clip in chain.from_iterable(
            _explained(run, classes_of, resources, bar.advance) for run in runs
        ):
            row = row_of[clip.id]
            if row not in explained.strips:
                rank = 0 if row in tall else 3 if is_right_N[row] else 2
                tallest = _TALL if row in tall else _SMALL
                frames = [*clip.frames_THW3]
                explained.strips[row] = strip(frames, key=f"{row}", rank=rank, tallest=tallest)
            if (row, clip.activity) in counted and clip.pairs is not None:
                labels_2P = clip.labels_TK[clip.pairs.frames_nP, clip.pairs.slots_nP]
                explained.pairs.add(clip.activity, labels_2P, clip.pairs.logit_drop_P)
            if (row, clip.activity) in shown:
                explained.cases[row, clip.activity] = _case(measured, names, clip, row)
    return explained


def _explained(
    run: EvaluatedRun,
    classes_of: Mapping[str, Sequence[int]],
    resources: Resources,
    advance: Callable[[int], None],
) -> Iterator[ExplainedClip]:
    """Yield the clips of one run, once per class to explain."""
    model, joined = run.model, run.joined
    segments = tuple(segment for segment in joined.segments if segment.id in classes_of)
    clips = run.sources.clip_dataset(replace(joined, segments=segments), model.config.recipe)
    clips.settings = replace(clips.settings, reads_frames=True)  # for the pictures
    device = torch.device(choose_device(resources.device))
    return explained_clips(
        model.network.to(device) if model.relates_pairs else None,
        clips,
        classes_of,
        device=device,
        workers=min(resources.workers, len(segments) // _CLIPS_OF_WORKER),
        heads=model.heads,
        advance=advance,
    )


def _mistakes(measured: Measured) -> dict[tuple[int, int], list[Mistake]]:
    """Return the most confident mistakes in the largest cells of the confusion matrix."""
    cells: dict[tuple[int, int], list[Mistake]] = {}
    for mistake in measured.mistakes():
        cells.setdefault(mistake.cell, []).append(mistake)
    order = sorted(cells.items(), key=lambda cell: (-len(cell[1]), -cell[1][0].confidence))
    return {cell: mistakes[:_OF_GROUP] for cell, mistakes in order[:_GROUPS]}


def _case(measured: Measured, names: tuple[str, ...], clip: ExplainedClip, row: int) -> Case:
    classes, true_A = measured.classes, measured.true_NA()[row]
    activity = truncate(classes[clip.activity], 60)
    missed = bool(true_A[clip.activity])
    why = "" if clip.pairs is None else explanation(clip, names, activity, against=missed)
    chance = float(measured.probability_NA[row, clip.activity])
    return Case(
        row=row,
        id=clip.id,
        picture=Picture(
            key=f"case-{row}-{clip.activity}",
            data=webp(draw_pairs(clip, names, against=missed)),
            alt=f"Frames of {truncate(clip.id)}. {why}",
            rank=1,
        ),
        predicted=f"{'not ' if missed else ''}{activity}",
        chance=1 - chance if missed else chance,
        true=", ".join(truncate(classes[label], 60) for label in np.flatnonzero(true_A)) or "none",
        why=why,
        decided=DECIDED[clip.decided_by] if clip.decided_by else "",
        detected=clip.detected_text(names),
    )


def explanation(
    clip: ExplainedClip, names: tuple[str, ...], activity: str, *, against: bool
) -> str:
    """Return a sentence about the effect of removing the most important pairs.

    Args:
        clip: the explained clip.
        names: names of the detector's classes.
        activity: name of the explained class.
        against: whether to prefer pairs that oppose the class.
    """
    for sign in (against, not against):
        listed = [
            f"by {abs(pair.logit_drop):.2f} without {clip.pair_text(pair, names)}"
            for pair in clip.strongest(_LISTED_PAIRS, against=sign)
            if matters(pair.logit_drop)
        ]
        if listed:
            change = "rises" if sign else "drops"
            return f"The logit of \u201c{activity}\u201d {change} {', '.join(listed)}."
    return f"No pair changes this logit by more than {LEAST_DROP}."
