"""Goes once through the clips that a report shows or counts."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from orn.shared.jobs.progress import progress
from orn.stage2_train.clips.join import JoinedSplit
from orn.stage2_train.devices import build_accelerator
from orn.stage2_train.insight.class_pairs import ClassPairs
from orn.stage2_train.insight.clip_pictures import thumbnail
from orn.stage2_train.insight.explained import ExplainedClip, explained_clips
from orn.stage2_train.insight.measured import Measured, Mistake
from orn.stage2_train.insight.report_files import ReportFiles
from orn.stage2_train.insight.report_page import Picture, shown
from orn.stage2_train.model.network import ObjectVideoNetwork
from orn.stage2_train.resources import Resources
from orn.stage2_train.runs.sources import Sources
from orn.stage2_train.runs.trained import OpenedModel

_Place = tuple[int, int]
"""Number of a segment, and a class."""


@dataclass(slots=True, kw_only=True)
class Found:
    """What looking at the clips gives."""

    pairs: ClassPairs
    cases: dict[_Place, list[str | Picture]] = field(default_factory=dict)
    """The figures of the clips that are shown, by segment and class."""
    thumbnails: dict[int, bytes] = field(default_factory=dict)
    """WebP by segment."""


@dataclass(frozen=True, slots=True)
class Looker:
    """A run, and the split that was measured."""

    model: OpenedModel
    measured: Measured
    joined: JoinedSplit
    """The segments that were measured, in their order."""
    sources: Sources
    resources: Resources

    @property
    def names(self) -> tuple[str, ...]:
        """The detector's classes."""
        return tuple(self.sources.detections.detector.class_names)

    def relates_objects(self) -> bool:
        """Whether there is something to explain."""
        network = self.model.network
        return isinstance(network, ObjectVideoNetwork) and self.model.heads != "activity"

    def look(
        self,
        right: list[_Place],
        mistakes: list[Mistake],
        *,
        most_counted: int,
        files: ReportFiles,
    ) -> Found:
        """Counts pairs of classes, and draws the clips that are shown.

        Args:
            right: of figure 5.
            mistakes: of figure 6.
            most_counted: clips at most whose pairs are counted, spread over the split.
            files: where pictures go.
        """
        measured, segments = self.measured, self.joined.segments
        number = min(most_counted, len(segments))
        spread = np.unique(np.linspace(0, len(segments) - 1, number).round().astype(int)).tolist()
        true_NA, said_NA = measured.true_NA(), measured.said_NA()
        counted = {(row, each) for row in spread for each in np.flatnonzero(true_NA[row]).tolist()}
        titles = {place: _title(measured, *place) for place in right}
        for each in mistakes:
            sure = f"{100 * each.confidence:.0f} % sure, wrong"
            titles.setdefault((each.row, each.activity), sure)
        asked: dict[str, set[int]] = {segments[row].id: set() for row in spread}
        for row, activity in sorted(counted | titles.keys()):
            asked.setdefault(segments[row].id, set()).add(activity)
        row_of = {segment.id: row for row, segment in enumerate(segments)}
        num_classes = len(self.names) + 1
        found = Found(
            pairs=ClassPairs(num_activities=len(measured.classes), num_classes=num_classes)
        )
        with progress("report", total=len(asked), unit="clips") as bar:
            for clip in self._explained(asked, bar.advance):
                place = row_of[clip.id], clip.activity
                if place[0] not in found.thumbnails:
                    found.thumbnails[place[0]] = thumbnail(clip.frames_THW3)
                if place in counted and len(clip.frames_nP) == 2:
                    labels_2P = np.minimum(clip.labels_nP(), len(self.names))
                    found.pairs.add(clip.activity, labels_2P, clip.activation_P, clip.fall_P)
                if place in titles:
                    missed = bool(true_NA[place] and not said_NA[place])
                    name = shown(measured.classes[clip.activity], 60)
                    name = f"not {name}" if missed and place not in right else name
                    found.cases[place] = files.case(
                        clip,
                        self.names,
                        figure="figure5" if place in right else "figure6",
                        title=f"{name}, {titles[place]}:",
                        against=missed,
                    )
        return found

    def _explained(
        self, asked: dict[str, set[int]], advance: Callable[[int], None]
    ) -> Iterator[ExplainedClip]:
        rows = [row for row, each in enumerate(self.joined.segments) if each.id in asked]
        some = replace(self.joined, segments=tuple(self.joined.segments[row] for row in rows))
        clips = self.sources.clip_dataset(some, self.model.config.recipe)
        clips.settings = replace(clips.settings, reads_frames=True)  # they are shown
        device = build_accelerator("fp32", self.resources.device).device
        network = self.model.network.to(device) if self.relates_objects() else None
        yield from explained_clips(
            network,
            clips,
            {id: sorted(activities) for id, activities in asked.items()},
            device=device,
            workers=self.resources.workers,
            two_heads=self.model.heads == "both",
            advance=advance,
        )


def _title(measured: Measured, row: int, activity: int) -> str:
    right = "right" if measured.true_NA()[row, activity] else "wrong"
    return f"{100 * measured.probability_NA[row, activity]:.0f} % sure, {right}"
