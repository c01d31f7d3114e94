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
from shared.nearest import nearest
from shared.text_table import shortened
from stage2_train.evaluation.evaluate import EvalRequest, evaluate
from stage2_train.evaluation.metrics import unsure_labels
from stage2_train.insight.looking import Found, Looker
from stage2_train.insight.measured import Measured, Mistake, load_measured
from stage2_train.insight.report_cases import cases_section, mistakes_section
from stage2_train.insight.report_files import ReportFiles
from stage2_train.insight.report_made import made_section
from stage2_train.insight.report_page import CellClips, ReportPage, Section, shown
from stage2_train.insight.report_sections import (
    confusion_section,
    figure4_section,
    headline,
    scores_section,
)
from stage2_train.resources import Resources
from stage2_train.runs.run_config import load_run_config
from stage2_train.runs.trained import load_trained, sources_of_run

LARGEST_PAGE_BYTES = 10_000_000
"""Larger pages are slow to open and to send."""
_RIGHT = 8
"""Clips of figure 5, unless some are asked for."""
_GROUPS, _OF_GROUP = 8, 3
"""Kinds of mistakes that figure 6 shows, and clips of each."""


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
    clips = sources.clip_dataset(joined, config.recipe)
    measured = replace(measured, unsure_NA=unsure_labels(clips))
    files = ReportFiles(run)
    files.clear()
    right = _right(request, measured)
    mistakes = _mistakes(measured)
    looker = Looker(config, trained, measured, joined, sources, request.resources)
    found = looker.look(
        right,
        [each for _, _, some in mistakes for each in some],
        most_counted=request.most_explained,
        files=files,
    )
    page = _Report(request, looker, measured, files).page(found, right, mistakes)
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
                f"{request.run}: wanted a segment {shortened(repr(id))} of {request.split}, found "
                f"none; the nearest id is {shortened(repr(nearest(id, list(row_of)[:5000])))}"
            )
        chosen.append((row_of[id], int(measured.predictions.logits[row_of[id]].argmax())))
    return chosen


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
    looker: Looker
    measured: Measured
    files: ReportFiles

    def page(
        self,
        found: Found,
        right: list[tuple[int, int]],
        mistakes: list[tuple[str, int, list[Mistake]]],
    ) -> ReportPage:
        """The page, with all files written."""
        measured, files, file = self.measured, self.files, self.measured.file
        segments = self.looker.joined.segments
        intervals = {
            (head, name): measured.interval(head, name)
            for head, figures in file.heads().items()
            for name in figures
        }
        of_class = [measured.class_interval(row) for row in range(len(measured.classes))]
        head = next(iter(file.heads()))
        cells = measured.cells()
        counts_RC = np.zeros((len(measured.classes), len(measured.columns())), np.int64)
        for place, rows in cells.items():
            counts_RC[place] = len(rows)
        files.tables(measured, intervals, of_class, counts_RC, [each.video_id for each in segments])
        curves = files.curves(file.metric, file.chance)
        page = ReportPage(
            title=self.request.run.resolve().name,
            lead=f'<p class="dim">Data set {shown(file.dataset)}, '
            f"{'system' if self.looker.config.system else 'recipe'} "
            f"{shown(self.looker.config.system or self.looker.config.recipe_name)}</p>"
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
                explained=self.looker.relates_objects(),
            ),
            made_section(
                self.request.run,
                self.looker.config,
                self.looker.trained,
                self.looker.joined,
                self.looker.sources,
            ),
        ]
        page.cells = [
            CellClips(row=row, column=column, title=_cell_title(measured, row, column), clips=rows)
            for (row, column), rows in sorted(cells.items())
        ]
        page.clips = _clip_texts(measured)
        page.thumbnails = found.thumbnails
        return page

    def _figure4(self, found: Found) -> Section:
        title = "Which objects are related (figure 4)"
        size = self.looker.config.recipe.model.clique_size
        if not self.looker.relates_objects() or size != 2:
            why = (
                f"This network relates {size} objects at a time, not pairs"
                if self.looker.relates_objects()
                else "What was trained relates no objects"
            )
            text = f"<p>{why}, so there is no graph of pairs.</p>"
            return Section(id="figure4", title=title, parts=[text])
        classes = self.measured.classes
        pictures = self.files.graphs(found.pairs, classes, self.looker.names)
        return figure4_section(
            found.pairs,
            classes,
            self.looker.names,
            pictures,
            num_segments=len(self.looker.joined.segments),
        )

    def _figure5(self, found: Found, right: list[tuple[int, int]]) -> Section:
        if not self.looker.relates_objects():
            return Section(
                id="figure5",
                title="Which pairs decided (figure 5)",
                parts=["<p>What was trained relates no objects, so no pair decided.</p>"],
            )
        cases = [found.cases[place] for place in right]
        return cases_section(cases, chosen=bool(self.request.segments))


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
