"""`orn report`: one page of a run that works offline, and each of its figures as files.

RUN/report.html    scores, curves, confusions, figures 4, 5 and 6 of the paper, how it was made
    report/        the figures: PNG, SVG of graphs, CSV
"""

import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from shared.errors import JoinError
from shared.jobs.atomic_file import write_text
from shared.jobs.progress import progress
from shared.nearest import nearest
from stage2_train.clips.batches import LoaderSettings, evaluation_loader
from stage2_train.clips.join import JoinedSplit
from stage2_train.devices import build_accelerator
from stage2_train.evaluation.evaluate import EvalRequest, evaluate
from stage2_train.insight.class_pairs import ClassPairs
from stage2_train.insight.clip_pictures import thumbnail
from stage2_train.insight.explained import ExplainedClip, explained_clips
from stage2_train.insight.measured import Measured, Mistake, load_measured
from stage2_train.insight.report_files import ReportFiles
from stage2_train.insight.report_page import CellClips, ReportPage, Section, shown
from stage2_train.insight.report_sections import (
    Case,
    cases_section,
    confusion_section,
    figure4_section,
    headline,
    made_section,
    mistakes_section,
    scores_section,
)
from stage2_train.model.network import ObjectVideoNetwork
from stage2_train.resources import Resources
from stage2_train.runs.run_config import RunConfig, load_run_config
from stage2_train.runs.sources import Sources
from stage2_train.runs.trained import Trained, load_trained, sources_of_run

__all__ = ["LARGEST_PAGE_BYTES", "ReportRequest", "write_report"]

LARGEST_PAGE_BYTES = 10_000_000
"""Larger pages are slow to open and to send."""
_RIGHT = 8
"""Clips of figure 5, unless some are asked for."""
_GROUPS, _OF_GROUP = 8, 3
"""Kinds of mistakes that figure 6 shows, and clips of each."""
_BATCH_SIZE = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportRequest:
    """What `orn report` was asked for."""

    run: Path
    split: str = "validation"
    segments: tuple[str, ...] = ()
    """Ids of the clips of figure 5; the surest right ones where there are none."""
    most_explained: int = 400
    """Clips that figure 4 is made of at most, spread over the split."""
    resources: Resources = field(default_factory=Resources)
    largest_bytes: int = LARGEST_PAGE_BYTES


@dataclass(slots=True, kw_only=True)
class _Found:
    """What looking at the clips gives."""

    pairs: ClassPairs
    cases: dict[tuple[int, int], Case] = field(default_factory=dict)
    """By segment and class."""
    thumbnails: dict[int, bytes] = field(default_factory=dict)


def write_report(request: ReportRequest) -> dict[str, Any]:
    """Writes the page and the files of a run; measures the run first where that was not done.

    Returns:
        Where they are: `report`, `bytes`, `folder`, `files`, `clips_explained`, `seconds`.

    Raises:
        CheckpointError: if the run has no checkpoint, or what was measured is damaged.
        JoinError: if there is no segment of an id that is asked for, or others were measured.
    """
    started = time.monotonic()
    run, split = request.run, request.split
    config = load_run_config(run)
    trained = load_trained(run, config)
    torch.set_num_threads(request.resources.num_threads())
    classes = config.dataset.classes
    measured = load_measured(run, split, classes, step=trained.step)
    if measured is None:
        evaluate(EvalRequest(run=run, split=split, resources=request.resources))
        measured = load_measured(run, split, classes, step=trained.step)
        assert measured is not None
    sources = sources_of_run(run, config, request.resources)
    joined = sources.join(split)
    if tuple(segment.id for segment in joined.segments) != measured.predictions.ids:
        raise JoinError(
            f"{run}: wanted the {measured.file.num_segments} segments of {split} that `orn eval` "
            f"measured, found {len(joined.segments)} that differ; measure the run again"
        )
    files = ReportFiles(run)
    files.clear()
    names = tuple(sources.detections.detector.class_names)
    right = _right(request, measured)
    mistakes = _mistakes(measured)
    report = _Report(request, config, trained, measured, joined, sources, names, files)
    found = report.look(right, [each for _, _, some in mistakes for each in some])
    page = report.page(found, right, mistakes)
    html = page.html(request.largest_bytes)
    write_text(run / "report.html", html)
    return {
        "report": str(run / "report.html"),
        "bytes": len(html.encode()),
        "folder": str(files.folder),
        "files": files.written,
        "clips_explained": int(found.pairs.num_clips_A.sum()),
        "seconds": round(time.monotonic() - started, 1),
    }


def _right(request: ReportRequest, measured: Measured) -> list[tuple[int, int]]:
    """Segment and class of each clip of figure 5."""
    if not request.segments:
        return measured.surest_right()[:_RIGHT]
    row_of = {id: row for row, id in enumerate(measured.predictions.ids)}
    chosen = []
    for id in dict.fromkeys(request.segments):
        if id not in row_of:
            raise JoinError(
                f"{request.run}: wanted a segment {shown_id(id)} of {request.split}, found none; "
                f"the nearest id is {shown_id(nearest(id[:200], list(row_of)[:5000]) or '')}"
            )
        chosen.append((row_of[id], int(measured.predictions.logits[row_of[id]].argmax())))
    return chosen


def shown_id(id: str) -> str:
    """An id in a message."""
    return repr(id if len(id) <= 100 else f"{id[:100]}...")


def _mistakes(measured: Measured) -> list[tuple[str, int, list[Mistake]]]:
    """Name, number and surest mistakes of the largest groups."""
    groups: dict[str, list[Mistake]] = {}
    for mistake in measured.mistakes():
        groups.setdefault(mistake.group, []).append(mistake)
    order = sorted(groups.items(), key=lambda each: (-len(each[1]), -each[1][0].confidence))
    return [(name, len(some), some[:_OF_GROUP]) for name, some in order[:_GROUPS]]


@dataclass(frozen=True, slots=True)
class _Report:
    """What a report is made from."""

    request: ReportRequest
    config: RunConfig
    trained: Trained
    measured: Measured
    joined: JoinedSplit
    sources: Sources
    names: tuple[str, ...]
    files: ReportFiles

    def relates_objects(self) -> bool:
        """Whether there is something to explain."""
        network = self.trained.network
        return isinstance(network, ObjectVideoNetwork) and self.trained.heads != "activity"

    def look(self, right: list[tuple[int, int]], mistakes: list[Mistake]) -> _Found:
        """Goes once through the clips that are shown or counted."""
        measured, segments = self.measured, self.joined.segments
        number = min(self.request.most_explained, len(segments))
        spread = np.unique(np.linspace(0, len(segments) - 1, number).round().astype(int)).tolist()
        true_NA = measured.true_NA()
        counted = {(row, each) for row in spread for each in np.flatnonzero(true_NA[row]).tolist()}
        titles = {place: _sure(measured, *place) for place in right}
        titles |= {(each.row, each.activity): _sure_of(each) for each in mistakes}
        against = {
            (each.row, each.activity)
            for each in mistakes
            if not measured.said_NA()[each.row, each.activity]
        }
        asked: dict[str, set[int]] = {segments[row].id: set() for row in spread}
        for row, activity in sorted(counted | titles.keys()):
            asked.setdefault(segments[row].id, set()).add(activity)
        row_of = {segment.id: row for row, segment in enumerate(segments)}
        found = _Found(
            pairs=ClassPairs(num_activities=len(measured.classes), num_classes=len(self.names) + 1)
        )
        with progress("report", total=len(asked), unit="clips") as bar:
            for clip in self._explained(asked, bar.advance):
                place = row_of[clip.id], clip.activity
                if place[0] not in found.thumbnails:
                    found.thumbnails[place[0]] = thumbnail(clip.frames_THW3)
                if place in counted and self.config.recipe.model.clique_size == 2:
                    self._count(found.pairs, clip)
                if place in titles:
                    found.cases[place] = self.files.case(
                        clip,
                        self.names,
                        figure="figure5" if place in right else "figure6",
                        title=f"{shown(measured.classes[clip.activity], 60)}, {titles[place]}:",
                        against=place in against,
                    )
        return found

    def _explained(self, asked: dict[str, set[int]], advance: Any) -> Any:
        rows = [row for row, each in enumerate(self.joined.segments) if each.id in asked]
        some = replace(self.joined, segments=tuple(self.joined.segments[row] for row in rows))
        clips = self.sources.clip_dataset(some, self.config.recipe)
        clips.settings = replace(clips.settings, reads_frames=True)  # they are shown
        resources = self.request.resources
        device = build_accelerator("fp32", resources.device).device
        network = self.trained.network.to(device) if self.relates_objects() else None
        loader = LoaderSettings(batch_size=_BATCH_SIZE, workers=resources.workers)

        def batches() -> Any:
            for batch in evaluation_loader(clips, loader, clip=0):
                yield batch
                advance(len(batch))

        order = {id: sorted(activities) for id, activities in asked.items()}
        two_heads = self.trained.heads == "both"
        return explained_clips(network, batches(), order, device=device, two_heads=two_heads)

    def _count(self, pairs: ClassPairs, clip: ExplainedClip) -> None:
        labels_2P = np.minimum(clip.labels_nP(), len(self.names))
        if len(labels_2P) == 2:
            pairs.add(clip.activity, labels_2P, clip.activation_P, clip.fall_P)

    def page(
        self,
        found: _Found,
        right: list[tuple[int, int]],
        mistakes: list[tuple[str, int, list[Mistake]]],
    ) -> ReportPage:
        """The page, with all files written."""
        measured, files, file = self.measured, self.files, self.measured.file
        segments = self.joined.segments
        _, video_N = np.unique([each.video_id for each in segments], return_inverse=True)
        intervals = {
            (head, name): measured.interval(head, name, video_N)
            for head, figures in file.heads().items()
            for name in figures
        }
        of_class = [measured.class_interval(row, video_N) for row in range(len(measured.classes))]
        head = next(iter(file.heads()))
        cells = measured.cells()
        counts_RC = np.zeros((len(measured.classes), len(measured.columns())), np.int64)
        for place, rows in cells.items():
            counts_RC[place] = len(rows)
        files.tables(measured, intervals, of_class, counts_RC, [each.video_id for each in segments])
        curves = files.curves(file.metric, file.chance)
        page = ReportPage(
            title=self.request.run.resolve().name,
            lead=f'<p class="dim">{shown(file.dataset)}, '
            f"{shown(self.config.system or self.config.recipe_name)}</p>"
            + headline(measured, intervals.get((head, file.metric))),
        )
        page.sections = [
            scores_section(measured, intervals, of_class, curves),
            confusion_section(measured, counts_RC, files.confusion(measured, counts_RC)),
            self._figure4(found),
            self._figure5(found, right),
            mistakes_section(
                [
                    (name, number, [found.cases[each.row, each.activity] for each in some])
                    for name, number, some in mistakes
                ],
                total=len(measured.mistakes()),
                explained=self.relates_objects(),
            ),
            made_section(*files.made(self.config, self.trained, self.joined, self.sources)),
        ]
        page.cells = [
            CellClips(row=row, column=column, title=_cell_title(measured, row, column), clips=rows)
            for (row, column), rows in sorted(cells.items())
        ]
        page.clips = _clip_texts(measured)
        page.thumbnails = found.thumbnails
        return page

    def _figure4(self, found: _Found) -> Section:
        title = "Which objects are related (figure 4)"
        size = self.config.recipe.model.clique_size
        if not self.relates_objects() or size != 2:
            why = (
                f"This network relates {size} objects at a time, not pairs"
                if self.relates_objects()
                else "What was trained relates no objects"
            )
            text = f"<p>{why}, so there is no graph of pairs.</p>"
            return Section(id="figure4", title=title, parts=[text])
        classes = self.measured.classes
        pictures = self.files.graphs(found.pairs, classes, self.names)
        return figure4_section(
            found.pairs, classes, self.names, pictures, num_segments=len(self.joined.segments)
        )

    def _figure5(self, found: _Found, right: list[tuple[int, int]]) -> Section:
        if not self.relates_objects():
            return Section(
                id="figure5",
                title="Which pairs decided (figure 5)",
                parts=["<p>What was trained relates no objects, so no pair decided.</p>"],
            )
        cases = [found.cases[place] for place in right]
        return cases_section(cases, chosen=bool(self.request.segments))


def _sure(measured: Measured, row: int, activity: int) -> str:
    right = "right" if measured.true_NA()[row, activity] else "wrong"
    return f"{100 * measured.probability_NA[row, activity]:.0f} % sure, {right}"


def _sure_of(mistake: Mistake) -> str:
    return f"{100 * mistake.confidence:.0f} % sure, wrong"


def _cell_title(measured: Measured, row: int, column: int) -> str:
    said = measured.columns()[column]
    if not measured.single:
        return f"{measured.classes[row]}: {said}"
    if row == column:
        return f"{said}, and so it is"
    return f"{measured.classes[row]}, taken for {said}"


def _clip_texts(measured: Measured) -> dict[int, tuple[str, str]]:
    """Id of each segment, and what the network says of it."""
    probability_NA, said_NA = measured.probability_NA, measured.said_NA()
    texts = {}
    for row, id in enumerate(measured.predictions.ids):
        said = [
            f"{measured.classes[each]} {100 * probability_NA[row, each]:.0f} %"
            for each in np.flatnonzero(said_NA[row])
        ]
        texts[row] = id, f"says {', '.join(said) or 'nothing'}"
    return texts
