"""The job of `orn report`: an offline page about a run, and its figures as files.

RUN/report.html    the result, confusions, figures 4, 5 and 6 of the paper, settings and commands
    report/        the figures as PNG, SVG and CSV
"""

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import torch

from orn.shared.devices import choose_device
from orn.shared.errors import JoinError
from orn.shared.jobs.atomic_file import write_text
from orn.shared.jobs.outputs import check_room
from orn.shared.jobs.progress import progress
from orn.shared.manifests.records import Split
from orn.shared.nearest import nearest
from orn.shared.text import counted, truncate
from orn.stage2_train.clips.join import JoinedSplit
from orn.stage2_train.explanation.class_pairs import ClassPairs, Example
from orn.stage2_train.explanation.clip_pictures import (
    MOST_FRAMES,
    MOST_LINES,
    draw_pairs,
    spread,
    strip,
    webp,
)
from orn.stage2_train.explanation.explained import DECIDED, ExplainedClip, explained_clips
from orn.stage2_train.explanation.importance import ClipCliques
from orn.stage2_train.explanation.measured import Measured, Mistake, load_measured
from orn.stage2_train.explanation.page_pictures import LARGEST_PAGE_BYTES, Picture
from orn.stage2_train.explanation.report_files import ReportFiles, file_name
from orn.stage2_train.explanation.report_view import Case, Explanations, Place, report_page
from orn.stage2_train.explanation.scale import LEAST_DROP, matters
from orn.stage2_train.resources import Resources
from orn.stage2_train.runs.sources import Sources
from orn.stage2_train.runs.trained import OpenedModel, open_model, paths_of_run, sources_of_run

_USUAL = Resources()
_RIGHT = 8
"""Default number of clips in figure 5."""
_GROUPS, _OF_GROUP = 8, 2
"""Number of groups of mistakes in figure 6, and number of clips in each group."""
_LISTED_CLIQUES = 10
_LISTED_OBJECTS = 8
_TALL, _SMALL = 240, 96
"""Height, in pixels, of clips in figures, and of clips that only the confusion matrix opens."""

_CLIPS_OF_WORKER = 64
"""Number of clips that load in about the time it takes to start a worker process."""


def write_report(
    run: Path,
    *,
    split: Split = "validation",
    segments: tuple[str, ...] = (),
    most_explained: int = 400,
    resources: Resources = _USUAL,
    largest_bytes: int = LARGEST_PAGE_BYTES,
) -> dict[str, Any]:
    """Write the page and the files for a run; evaluate the run first if necessary.

    Args:
        run: the run folder.
        split: split to report on.
        segments: ids of the clips in figure 5; by default the most confident correct predictions.
        most_explained: maximum number of clips for figure 4, spread over the split.
        resources: paths of the data, and the device.
        largest_bytes: maximum size of the page.

    Returns:
        `report`, `bytes`, `folder`, `files`, `clips_explained`, `seconds`.

    Raises:
        CheckpointError: if the run has no checkpoint, or its evaluation is damaged.
        JoinError: if a requested segment does not exist, or different segments were evaluated.
    """
    started = time.monotonic()
    model = open_model(run, device="cpu")
    check_room(run)
    config = model.config
    torch.set_num_threads(resources.num_threads())
    classes = config.dataset.classes
    measured = load_measured(run, split, classes, step=model.step)
    if measured is None:
        from orn.stage2_train.evaluation.evaluate import evaluate
        from orn.stage2_train.requests import EvalRequest

        evaluate(EvalRequest(run=run, split=split, resources=resources))
        measured = load_measured(run, split, classes, step=model.step)
        assert measured is not None
    sources = sources_of_run(run, config, resources)
    joined = sources.join(split, config.recipe)
    if tuple(segment.id for segment in joined.segments) != measured.predictions.ids:
        raise JoinError(
            f"{run}: expected the {counted(measured.file.num_segments, 'segment')} of {split} "
            f"evaluated by `orn eval`, got {len(joined.segments)} different ones; evaluate the run "
            "again"
        )
    right = (
        measured.most_confident_correct()[:_RIGHT]
        if not segments
        else _chosen(run, segments, measured)
    )
    files = ReportFiles(run)
    explainer = _Explainer(model, measured, joined, sources, resources, files)
    found = explainer.explain(right, _mistakes(measured), most_counted=most_explained)
    files.tables(measured, [each.video_id for each in joined.segments])
    if model.relates_detections:
        files.class_pairs(found.pairs, classes, explainer.names)
    html = report_page(
        model,
        measured,
        found,
        paths=paths_of_run(run, config, resources),
        detector=sources.detector,
        segments=joined.segments,
        asked=bool(segments),
        curves=files.curves(measured.file.metric, measured.file.chance),
        confusion=files.confusion(measured),
        largest_bytes=largest_bytes,
    )
    num_files = files.publish()
    write_text(run / "report.html", html)
    return {
        "report": str(run / "report.html"),
        "bytes": len(html.encode()),
        "folder": str(files.folder),
        "files": num_files,
        "clips_explained": int(found.pairs.num_clips_A.sum()),
        "seconds": round(time.monotonic() - started, 1),
    }


def _chosen(run: Path, ids: tuple[str, ...], measured: Measured) -> list[Place]:
    """Return the segment and predicted class of each requested clip."""
    predictions = measured.predictions
    row_of = {id: row for row, id in enumerate(predictions.ids)}
    for id in ids:
        if id not in row_of:
            raise JoinError(
                f"{run}: expected a segment in {measured.file.split}, got {truncate(repr(id))}; "
                f"did you mean {truncate(repr(nearest(id, list(row_of)[:5000])))}?"
            )
    rows = [row_of[id] for id in dict.fromkeys(ids)]
    return [(row, int(predictions.logits[row].argmax())) for row in rows]


def _mistakes(measured: Measured) -> dict[tuple[int, int], list[Mistake]]:
    """Return the most confident mistakes in the largest cells of the confusion matrix."""
    cells: dict[tuple[int, int], list[Mistake]] = {}
    for mistake in measured.mistakes():
        cells.setdefault(mistake.cell, []).append(mistake)
    order = sorted(cells.items(), key=lambda each: (-len(each[1]), -each[1][0].confidence))
    return {cell: some[:_OF_GROUP] for cell, some in order[:_GROUPS]}


@dataclass(frozen=True, slots=True)
class _Explainer:
    """Explainer that processes all clips shown or counted in a report in one pass."""

    model: OpenedModel
    measured: Measured
    joined: JoinedSplit
    """The evaluated segments, in order."""
    sources: Sources
    resources: Resources
    files: ReportFiles
    _pages: dict[Path, Path | None] = field(default_factory=dict)
    """Page of each shard, if it exists."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the detector's classes."""
        return tuple(self.sources.detections.detector.class_names)

    def explain(
        self,
        right: list[Place],
        mistakes: dict[tuple[int, int], list[Mistake]],
        *,
        most_counted: int,
    ) -> Explanations:
        """Count the pairs of classes and draw the clips of the figures.

        Args:
            right: clips in figure 5.
            mistakes: clips in figure 6, by cell of the confusion matrix.
            most_counted: maximum number of clips whose pairs are counted, spread over the split.
        """
        measured, segments = self.measured, self.joined.segments
        counted_rows = spread(len(segments), most_counted)
        true_NA, wrong = measured.true_NA(), [each for some in mistakes.values() for each in some]
        counted_places = {
            (row, each) for row in counted_rows for each in np.flatnonzero(true_NA[row]).tolist()
        }
        shown = {*right, *((each.row, each.activity) for each in wrong)}
        asked: dict[str, set[int]] = {segments[row].id: set() for row in counted_rows}
        for row, activity in sorted(counted_places | shown):
            asked.setdefault(segments[row].id, set()).add(activity)
        row_of = {segment.id: row for row, segment in enumerate(segments)}
        pairs = ClassPairs(num_activities=len(measured.classes), num_classes=len(self.names) + 1)
        found = Explanations(pairs=pairs, names=self.names, right=right, mistakes=mistakes)
        found.size = (
            self.model.config.recipe.model.clique_size if self.model.relates_detections else 0
        )
        tall = {row for row, _ in shown}
        is_right_N = (true_NA == measured.predicted_NA()).all(axis=1)
        with progress("report", total=len(asked), unit="clips") as bar:
            for clip in self._explained(asked, bar.advance):
                row, activity = place = row_of[clip.id], clip.activity
                if row not in found.strips:
                    rank, tallest = (
                        (0, _TALL) if row in tall else (3 if is_right_N[row] else 2, _SMALL)
                    )
                    frames = [*clip.frames_THW3]
                    found.strips[row] = strip(frames, key=f"{row}", rank=rank, tallest=tallest)
                    found.links[row] = self._link(row)
                cliques = clip.cliques
                if place in counted_places and cliques and len(cliques.frames_nP) == 2:
                    labels_2P = clip.labels_TK[cliques.frames_nP, cliques.slots_nP]
                    pairs.add(
                        activity,
                        labels_2P,
                        cliques.activation_P,
                        cliques.logit_drop_P,
                        example=partial(_example, clip, cliques, row),
                    )
                if place in shown:
                    found.cases[place] = self._case(clip, row, is_right=place in right)
        return found

    def _explained(
        self, asked: dict[str, set[int]], advance: Callable[[int], None]
    ) -> Iterator[ExplainedClip]:
        rows = [row for row, each in enumerate(self.joined.segments) if each.id in asked]
        some = replace(self.joined, segments=tuple(self.joined.segments[row] for row in rows))
        clips = self.sources.clip_dataset(some, self.model.config.recipe)
        clips.settings = replace(clips.settings, reads_frames=True)  # for the pictures
        device = torch.device(choose_device(self.resources.device))
        network = self.model.network.to(device) if self.model.relates_detections else None
        yield from explained_clips(
            network,
            clips,
            {id: sorted(activities) for id, activities in asked.items()},
            device=device,
            workers=min(self.resources.workers, len(asked) // _CLIPS_OF_WORKER),
            two_heads=self.model.heads == "both",
            advance=advance,
        )

    def _link(self, row: int) -> str:
        """Return the URL of a segment's midpoint in the page of its shard, relative to the run.

        The URL is empty if the shard has no such page.
        """
        segment = self.joined.segments[row]
        video = self.sources.detections.video(segment.video_id)
        start, stop = segment.start_seconds, segment.stop_seconds
        first = video.seconds[0] if start is None else start
        last = video.seconds[-1] if stop is None else stop
        place = int(np.searchsorted(video.seconds, (first + last) / 2))
        place = min(place, video.num_frames - 1)
        shard = video.in_shard(place)[0].path
        if shard not in self._pages:
            stem = shard.with_name(shard.name.removesuffix(".zarr.zip"))
            places = stem.with_name(f"{stem.name}.html"), stem / "index.html"
            self._pages[shard] = next((each for each in places if each.is_file()), None)
        page = self._pages[shard]
        if page is None:
            return ""
        address = quote(os.path.relpath(page.resolve(), self.model.path.resolve()))
        return f"{address}#{quote(segment.video_id, safe='')}/{video.frame_indices[place]}"

    def _case(self, clip: ExplainedClip, row: int, *, is_right: bool) -> Case:
        """Return a clip for figure 5 or 6; add its picture as PNG and its cliques as CSV."""
        activity, figure = clip.activity, "figure5" if is_right else "figure6"
        classes, true_A = self.measured.classes, self.measured.true_NA()[row]
        missed = bool(true_A[activity]) and not self.measured.predicted_NA()[row, activity]
        cliques = clip.strongest(_LISTED_CLIQUES, against=missed)
        key = f"{figure}-{activity + 1:03d}-{file_name(clip.id)}"
        picture_HW3 = draw_pairs(clip, self.names, cliques[:MOST_LINES])
        rows = [
            (clip.clique_text(each, self.names), each.logit_drop, each.activation)
            for each in cliques
        ]
        self.files.csv(key, ("pair", "logit_drop", "activation"), rows)
        why = ""
        if self.model.relates_detections:
            why = explanation(clip, self.names, classes[activity], against=missed)
        alt, file = f"Frames of {truncate(clip.id)}. {why}", self.files.picture(key, picture_HW3)
        chance = float(self.measured.probability_NA[row, activity])
        seen = clip.detected_classes(self.names)[:_LISTED_OBJECTS]
        return Case(
            row=row,
            id=clip.id,
            picture=Picture(key=key, data=webp(picture_HW3), alt=alt, file=file, rank=1),
            predicted=f"{'not ' if missed else ''}{truncate(classes[activity], 60)}",
            chance=1 - chance if missed else chance,
            is_right=bool(true_A[activity]) and not missed,
            true=", ".join(truncate(classes[each], 60) for each in np.flatnonzero(true_A))
            or "none",
            why=why,
            decided=DECIDED[clip.decided_by] if clip.decided_by else "",
            seen=", ".join(f"{truncate(name, 40)} {score:.2f}" for name, score in seen),
        )


def explanation(
    clip: ExplainedClip, names: tuple[str, ...], activity: str, *, against: bool
) -> str:
    """Return a sentence about the effect of removing the strongest pair.

    Args:
        clip: the explained clip.
        names: names of the detector's classes.
        activity: name of the explained class.
        against: whether to prefer pairs that oppose the class.
    """
    for sign in (against, not against):
        for clique in clip.strongest(1, against=sign):
            if matters(clique.logit_drop):
                change = "rises" if sign else "drops"
                return (
                    f"Without {clip.clique_text(clique, names)}, the logit of "
                    f"\u201c{truncate(activity, 60)}\u201d {change} "
                    f"by {abs(clique.logit_drop):.2f}."
                )
    return f"No pair changes this logit by more than {LEAST_DROP}."


def _example(clip: ExplainedClip, cliques: ClipCliques, row: int, number: int) -> Example:
    frames, slots = cliques.frames_nP[:, number].tolist(), cliques.slots_nP[:, number].tolist()
    shown = spread(len(clip.frames_THW3), MOST_FRAMES)
    return Example(
        row=row,
        drop=float(cliques.logit_drop_P[number]),
        frames=tuple(int(np.searchsorted(shown, frame)) for frame in frames),
        boxes=tuple(map(clip.box_shares, frames, slots)),
    )
