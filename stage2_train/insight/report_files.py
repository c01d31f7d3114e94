"""The files of a report: its figures as PNG and SVG, its tables as CSV, and what each gives the
page."""

import csv
import hashlib
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from shared.jobs.atomic_file import write_bytes, write_text
from stage2_train.insight.class_pairs import ClassPairs
from stage2_train.insight.clip_pictures import MOST_LINES, draw_pairs, webp
from stage2_train.insight.explained import ExplainedClip
from stage2_train.insight.figures import (
    confusion_figure,
    curves_figure,
    graph_figure,
    node_name,
    png_and_svg,
)
from stage2_train.insight.measured import Measured
from stage2_train.insight.report_cases import Case
from stage2_train.insight.report_page import Picture
from stage2_train.insight.report_sections import strongest_words
from stage2_train.runs.run_folder import (
    METRICS_NAME,
    number_in,
    read_jsonl,
)

_MOST_GRAPHS = 60
"""Activities whose graphs are drawn; the table has all."""
_OURS = re.compile(r"(figure[456](-.*)?|metrics|classes|clips|confusion|training)\.(png|svg|csv)")
_RANKS = {"training": 0, "figure5": 1, "figure4": 2, "figure6": 3, "confusion": 4}
_LISTED_CLIQUES = 10


class ReportFiles:
    """Writes into RUN/report."""

    def __init__(self, run: Path) -> None:
        self.run, self.folder = run, run / "report"
        self.written = 0

    def clear(self) -> None:
        """Removes what an earlier report wrote."""
        for path in self.folder.glob("*") if self.folder.is_dir() else ():
            if _OURS.fullmatch(path.name):
                path.unlink(missing_ok=True)

    def _csv(self, name: str, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        held = io.StringIO()
        writer = csv.writer(held, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
        write_text(self.folder / name, held.getvalue())
        self.written += 1

    def _bytes(self, name: str, data: bytes) -> None:
        write_bytes(self.folder / name, data)
        self.written += 1

    def _graph(self, name: str, draw: Any, alt: str, rank: str) -> Picture:
        png, svg = png_and_svg(draw)
        self._bytes(f"{name}.png", png)
        self._bytes(f"{name}.svg", svg)
        return Picture(
            key=name,
            data=svg,
            media="image/svg+xml",
            alt=alt,
            file=f"report/{name}.png",
            rank=_RANKS[rank],
            graph=True,
        )

    def tables(
        self,
        measured: Measured,
        intervals: Mapping[tuple[str, str], tuple[float, float] | None],
        of_class: Sequence[tuple[float, float] | None],
        counts_RC: NDArray[np.int64],
        videos: Sequence[str],
    ) -> None:
        """metrics.csv, classes.csv, confusion.csv and clips.csv."""
        file, classes = measured.file, measured.classes
        heads = file.heads()
        self._csv(
            "metrics.csv",
            ("head", "metric", "value", "low", "high"),
            [
                (head, name, value, *(intervals[head, name] or ("", "")))
                for head, figures in heads.items()
                for name, value in figures.items()
            ],
        )
        self._csv(
            "classes.csv",
            ("class", "segments", *heads, "low", "high"),
            [
                (
                    row.name,
                    row.num_segments,
                    *(getattr(row, head) for head in heads),
                    *(ends or ("", "")),
                )
                for row, ends in zip(file.per_class, of_class, strict=True)
            ],
        )
        self._csv(
            "confusion.csv",
            ("true", *measured.columns()),
            [(name, *counts) for name, counts in zip(classes, counts_RC.tolist(), strict=True)],
        )
        true_NA, said_NA, probability_NA = (
            measured.true_NA(),
            measured.said_NA(),
            measured.probability_NA,
        )
        self._csv(
            "clips.csv",
            ("id", "video", "true", "said", "probability"),
            [
                (
                    id,
                    video,
                    "; ".join(classes[each] for each in np.flatnonzero(true_NA[row])),
                    "; ".join(classes[each] for each in np.flatnonzero(said_NA[row])),
                    "; ".join(
                        f"{probability_NA[row, each]:.4f}" for each in np.flatnonzero(said_NA[row])
                    ),
                )
                for row, (id, video) in enumerate(
                    zip(measured.predictions.ids, videos, strict=True)
                )
            ],
        )

    def curves(self, metric: str, chance: float) -> Picture | None:
        """training.png, .svg and .csv; None where the run has no log."""
        lines = []
        for record in read_jsonl(self.run / METRICS_NAME):
            numbers = {name: number_in(record, name) for name in record}
            line: dict[str, Any] = {name: v for name, v in numbers.items() if v is not None}
            if "step" in line:
                lines.append(line | {"group": str(record.get("group"))})
        if not lines:
            return None
        columns = list(dict.fromkeys(name for line in lines for name in line))
        self._csv(
            "training.csv", columns, [[line.get(name, "") for name in columns] for line in lines]
        )
        return self._graph(
            "training",
            lambda: curves_figure(lines, metric, chance),
            "Curves of the training: losses, and scores in validation",
            "training",
        )

    def confusion(self, measured: Measured, counts_RC: NDArray[np.int64]) -> Picture:
        """confusion.png and .svg."""
        return self._graph(
            "confusion",
            lambda: confusion_figure(counts_RC, measured.classes, measured.columns()),
            "Confusion matrix",
            "confusion",
        )

    def graphs(
        self, pairs: ClassPairs, classes: Sequence[str], names: Sequence[str]
    ) -> dict[int, Picture]:
        """figure4.csv with all pairs of classes, and graphs of the activities with most clips."""
        self._csv(
            "figure4.csv",
            (
                *("activity", "activity_clips", "first", "second", "pairs", "clips"),
                *("mean_activation", "mean_fall", "sum_activation", "sum_fall"),
            ),
            [
                (
                    classes[activity],
                    int(pairs.num_clips_A[activity]),
                    node_name(pair.first, names),
                    node_name(pair.second, names),
                    pair.num_pairs,
                    pair.num_clips,
                    pair.activation,
                    pair.fall,
                    pair.activation * pair.num_pairs,
                    pair.fall * pair.num_pairs,
                )
                for activity in pairs.most_seen()
                for pair in pairs.found(activity)
            ],
        )
        pictures = {}
        for activity in pairs.most_seen()[:_MOST_GRAPHS]:
            drawn = pairs.drawn(activity)
            if drawn:
                pictures[activity] = self._graph(
                    f"figure4-{activity + 1:03d}-{_file_name(classes[activity])}",
                    lambda drawn=drawn: graph_figure(drawn, names),  # type: ignore[misc]
                    strongest_words(drawn, names),
                    "figure4",
                )
        return pictures

    def case(
        self,
        clip: ExplainedClip,
        names: tuple[str, ...],
        *,
        figure: Literal["figure5", "figure6"],
        title: str,
        against: bool,
    ) -> Case:
        """A clip of figure 5 or 6 as a PNG, and its cliques as a CSV.

        Args:
            clip: what to show.
            names: of the detector's classes.
            figure: which.
            title: HTML.
            against: whether what speaks against the class is shown in place of what speaks for it.
        """
        cliques = clip.strongest(MOST_LINES, against=against)
        picture_HW3 = draw_pairs(clip, names, cliques)
        held = io.BytesIO()
        Image.fromarray(picture_HW3).save(held, format="PNG", compress_level=6)
        name = f"{figure}-{clip.activity + 1:03d}-{_file_name(clip.id)}"
        self._bytes(f"{name}.png", held.getvalue())
        words = [
            (
                " \u2013 ".join(
                    f"{clip.name_of(place, names)} (frame {place[0] + 1})"
                    for place in clique.objects
                ),
                clique.fall,
                clique.activation,
            )
            for clique in clip.strongest(_LISTED_CLIQUES, against=against)
        ]
        seen = clip.seen(names)
        self._csv(
            f"{name}.csv",
            ("pair", "fall", "activation"),
            words,
        )
        return Case(
            id=clip.id,
            title=title,
            picture=Picture(
                key=name,
                data=webp(picture_HW3),
                media="image/webp",
                alt=f"Frames of {clip.id[:100]}; first pair: {words[0][0] if words else 'none'}",
                file=f"report/{name}.png",
                rank=_RANKS[figure],
            ),
            seen=seen,
            pairs=words,
            decided_by=clip.decided_by,
        )


def _file_name(text: str) -> str:
    """What of a text of others may stand in a file's name, told from others by a digest."""
    plain = re.sub(r"[^A-Za-z0-9]+", "_", text).strip("_")[:40]
    if plain == text:
        return plain
    return f"{plain}-{hashlib.sha256(text.encode(errors='surrogatepass')).hexdigest()[:6]}"
