"""`orn report`: one page of a run that works offline, and each of its figures as files.

RUN/report.html    scores, curves, confusions, figures 4, 5 and 6 of the paper, how it was made
    report/        the figures: PNG, SVG of graphs, CSV
"""

import shlex
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from orn.shared.config.bounded import file_digest
from orn.shared.config.files import to_toml
from orn.shared.errors import CheckpointError, JoinError
from orn.shared.jobs.atomic_file import write_text
from orn.shared.nearest import nearest
from orn.shared.text_table import counted, shortened
from orn.stage2_train.evaluation.evaluate import EvalRequest, evaluate
from orn.stage2_train.insight.looking import Found, Looker
from orn.stage2_train.insight.measured import Measured, Mistake, load_measured
from orn.stage2_train.insight.report_files import ReportFiles
from orn.stage2_train.insight.report_page import (
    CellClips,
    ReportPage,
    Section,
    listed_facts,
    shown,
    table,
)
from orn.stage2_train.insight.report_sections import (
    cases_section,
    confusion_section,
    figure4_section,
    headline,
    mistakes_section,
    scores_section,
)
from orn.stage2_train.resources import Resources
from orn.stage2_train.runs.run_config import segments_digest
from orn.stage2_train.runs.run_folder import BEST_NAME, STARTS_NAME, read_jsonl
from orn.stage2_train.runs.trained import open_model, paths_of_run, sources_of_run

LARGEST_PAGE_BYTES = 10_000_000
"""Larger pages are slow to open and to send."""
_USUAL = Resources()
_RIGHT = 8
"""Clips of figure 5, unless some are asked for."""
_GROUPS, _OF_GROUP = 8, 3
"""Kinds of mistakes that figure 6 shows, and clips of each."""
_SHOWN_STARTS, _SHOWN_COMMANDS = 20, 3
"""The last ones."""


def write_report(
    run: Path,
    *,
    split: str = "validation",
    segments: tuple[str, ...] = (),
    most_explained: int = 400,
    resources: Resources = _USUAL,
    largest_bytes: int = LARGEST_PAGE_BYTES,
) -> dict[str, Any]:
    """Writes the page and the files of a run; measures the run first where that was not done.

    Args:
        run: its folder.
        split: what to report on.
        segments: ids of the clips of figure 5; the surest right ones where there are none.
        most_explained: clips that figure 4 is made of at most, spread over the split.
        resources: data, and what computes.
        largest_bytes: of the page.

    Returns:
        Where they are: `report`, `bytes`, `folder`, `files`, `clips_explained`, `seconds`.

    Raises:
        CheckpointError: if the run has no checkpoint, or what was measured is damaged.
        JoinError: if there is no segment of an id that is asked for, or others were measured.
    """
    started = time.monotonic()
    model = open_model(run, device="cpu")
    config = model.config
    torch.set_num_threads(resources.num_threads())
    classes = config.dataset.classes
    measured = load_measured(run, split, classes, step=model.step)
    if measured is None:
        evaluate(EvalRequest(run=run, split=split, resources=resources))
        measured = load_measured(run, split, classes, step=model.step)
        assert measured is not None
    sources = sources_of_run(run, config, resources)
    joined = sources.join(split, config.recipe)
    if tuple(segment.id for segment in joined.segments) != measured.predictions.ids:
        raise JoinError(
            f"{run}: wanted the {counted(measured.file.num_segments, 'segment')} of {split} that "
            f"`orn eval` measured, found {len(joined.segments)} that differ; measure the run again"
        )
    files = ReportFiles(run)
    files.clear()
    right = measured.surest_right()[:_RIGHT] if not segments else _chosen(run, segments, measured)
    mistakes = _mistakes(measured)
    looker = Looker(model, measured, joined, sources, resources)
    found = looker.look(
        right,
        [each for _, _, some in mistakes for each in some],
        most_counted=most_explained,
        files=files,
    )
    page = _page(looker, files, found)
    page.sections = [
        *page.sections,
        _figure4(looker, files, found),
        _figure5(looker, found, right, chosen=bool(segments)),
        mistakes_section(
            [
                (name, number, [found.cases[each.row, each.activity] for each in some])
                for name, number, some in mistakes
            ],
            total=len(measured.mistakes()),
            explained=looker.relates_objects(),
        ),
        _made_section(looker),
    ]
    html = page.html(largest_bytes)
    write_text(run / "report.html", html)
    return {
        "report": str(run / "report.html"),
        "bytes": len(html.encode()),
        "folder": str(files.folder),
        "files": files.written,
        "clips_explained": int(found.pairs.num_clips_A.sum()),
        "seconds": round(time.monotonic() - started, 1),
    }


def _chosen(run: Path, ids: tuple[str, ...], measured: Measured) -> list[tuple[int, int]]:
    """Segment and predicted class of each clip that is asked for."""
    predictions = measured.predictions
    row_of = {id: row for row, id in enumerate(predictions.ids)}
    for id in ids:
        if id not in row_of:
            raise JoinError(
                f"{run}: wanted a segment {shortened(repr(id))} of {measured.file.split}, found "
                f"none; the nearest id is {shortened(repr(nearest(id, list(row_of)[:5000])))}"
            )
    rows = [row_of[id] for id in dict.fromkeys(ids)]
    return [(row, int(predictions.logits[row].argmax())) for row in rows]


def _mistakes(measured: Measured) -> list[tuple[str, int, list[Mistake]]]:
    """Name, number and surest mistakes of the largest groups."""
    groups: dict[str, list[Mistake]] = {}
    for mistake in measured.mistakes():
        groups.setdefault(mistake.group, []).append(mistake)
    order = sorted(groups.items(), key=lambda each: (-len(each[1]), -each[1][0].confidence))
    return [(name, len(some), some[:_OF_GROUP]) for name, some in order[:_GROUPS]]


def _page(looker: Looker, files: ReportFiles, found: Found) -> ReportPage:
    """The page with the sections of scores and confusions, with all files of these."""
    config, measured, file = looker.model.config, looker.measured, looker.measured.file
    files.tables(measured, [each.video_id for each in looker.joined.segments])
    curves = files.curves(file.metric, file.chance)
    what = "system" if config.system else "recipe"
    lead = (
        f'<p class="dim">Data set {shown(file.dataset)}, {what} '
        f"{shown(config.system or config.recipe_name)}</p>"
    )
    return ReportPage(
        title=looker.model.path.resolve().name,
        lead=lead + headline(measured),
        sections=[
            scores_section(measured, curves),
            confusion_section(measured, files.confusion(measured)),
        ],
        cells=[
            CellClips(row=row, column=column, title=_cell_title(measured, row, column), clips=rows)
            for (row, column), rows in sorted(measured.cells().items())
        ],
        clips=_clip_texts(measured),
        thumbnails=found.thumbnails,
    )


def _figure4(looker: Looker, files: ReportFiles, found: Found) -> Section:
    size = looker.model.config.recipe.model.clique_size
    if looker.relates_objects() and size == 2:
        classes, names = looker.measured.classes, looker.names
        pictures = files.graphs(found.pairs, classes, names)
        num_segments = len(looker.joined.segments)
        return figure4_section(found.pairs, classes, names, pictures, num_segments=num_segments)
    why = "What was trained relates no objects"
    if looker.relates_objects():
        why = f"This network relates {size} objects at a time, not pairs"
    text = f"<p>{why}, so there is no graph of pairs.</p>"
    return Section(id="figure4", title="Which objects are related (figure 4)", parts=[text])


def _figure5(
    looker: Looker, found: Found, right: list[tuple[int, int]], *, chosen: bool
) -> Section:
    if looker.relates_objects():
        return cases_section([found.cases[place] for place in right], chosen=chosen)
    text = "<p>What was trained relates no objects, so no pair decided.</p>"
    return Section(id="figure5", title="Which pairs decided (figure 5)", parts=[text])


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


def _made_section(looker: Looker) -> Section:
    """The part of a report that says so of its run."""
    model, config = looker.model, looker.model.config
    run, weights = model.path, model.path / BEST_NAME
    joined, sources, starts = looker.joined, looker.sources, read_jsonl(run / STARTS_NAME)
    paths = paths_of_run(run, config, looker.resources)
    digest = file_digest(weights, error=CheckpointError)
    facts = [
        ("run", str(run)),
        ("data set", config.dataset.name),
        ("recipe", config.recipe_name),
        ("system", config.system or "as the recipe says"),
        ("weights", f"{weights.name}, step {model.step}, {digest}"),
        ("started from", config.weights_digest or "random weights"),
        ("detector in training", config.detector.title),
        ("detector here", sources.detector),
        ("training segments", f"{config.dataset.num_train}, {config.dataset.train_digest}"),
        (f"{joined.split} segments", f"{len(joined.segments)}, {segments_digest(joined.segments)}"),
        ("shards", str(paths.shards)),
        ("clip store", str(paths.clips or "none: frames decoded from the videos")),
    ]
    for start in starts[-_SHOWN_COMMANDS:]:
        command = start.get("command")
        if isinstance(command, list) and command:
            facts.append(("command", shlex.join(["orn", *map(str, command[1:])])))
    rows = [
        [shown(str(each.get(name, ""))) for name in ("time", "commit", "threads", "platform")]
        for each in starts[-_SHOWN_STARTS:]
    ]
    return Section(
        id="made",
        title="How it was made",
        parts=[
            listed_facts(facts),
            table(
                ("started", "commit", "threads", "platform"),
                rows,
                texts=(0, 1, 3),
                name="Starts of the training",
            ),
            '<details class="print"><summary>Recipe</summary>'
            f"<pre>{shown(to_toml(config.recipe), 20_000, lines=True)}</pre></details>",
        ],
    )
