"""The files of a report: its figures as PNG and SVG, its tables as CSV, and what each gives the
page."""

import hashlib
import io
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

from orn.shared.csv_text import csv_text
from orn.shared.jobs.atomic_file import write_bytes, write_text
from orn.stage2_train.insight.class_pairs import ClassPairs
from orn.stage2_train.insight.clip_pictures import MOST_LINES, draw_pairs, webp
from orn.stage2_train.insight.explained import ExplainedClip
from orn.stage2_train.insight.figures import (
    confusion_figure,
    curves_figure,
    graph_figure,
    node_name,
    png_and_svg,
    strongest_words,
)
from orn.stage2_train.insight.measured import Measured
from orn.stage2_train.insight.report_page import Picture, decided_lines, shown
from orn.stage2_train.runs.run_folder import METRICS_NAME, number_in, read_jsonl

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
        write_text(self.folder / name, csv_text([header, *rows]))
        self.written += 1

    def _bytes(self, name: str, data: bytes) -> None:
        write_bytes(self.folder / name, data)
        self.written += 1

    def _graph(self, name: str, draw: Any, alt: str) -> Picture:
        png, svg = png_and_svg(draw)
        self._bytes(f"{name}.png", png)
        self._bytes(f"{name}.svg", svg)
        return Picture(
            key=name,
            data=svg,
            media="image/svg+xml",
            alt=alt,
            file=f"report/{name}.png",
            rank=_RANKS[name.partition("-")[0]],
            graph=True,
        )

    def tables(self, measured: Measured, videos: Sequence[str]) -> None:
        """metrics.csv, classes.csv, confusion.csv and clips.csv."""
        file, classes = measured.file, measured.classes
        heads = file.heads()
        self._csv(
            "metrics.csv",
            ("head", "metric", "value", "low", "high"),
            [
                (head, name, value, *(file.interval(head, name) or ("", "")))
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
                    *(measured.class_interval(place) or ("", "")),
                )
                for place, row in enumerate(file.per_class)
            ],
        )
        self._csv(
            "confusion.csv",
            ("true", *measured.columns()),
            [
                (name, *row)
                for name, row in zip(classes, measured.counts_RC().tolist(), strict=True)
            ],
        )
        chance_NA, rows = measured.probability_NA, []
        marked = zip(measured.true_NA(), measured.said_NA(), strict=True)
        for row, (true_A, said_A) in enumerate(marked):
            true, said = np.flatnonzero(true_A), np.flatnonzero(said_A)
            names = ("; ".join(classes[each] for each in some) for some in (true, said))
            chances = "; ".join(f"{chance_NA[row, each]:.4f}" for each in said)
            rows.append((measured.predictions.ids[row], videos[row], *names, chances))
        self._csv("clips.csv", ("id", "video", "true", "said", "probability"), rows)

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
        )

    def confusion(self, measured: Measured) -> Picture:
        """confusion.png and .svg."""
        return self._graph(
            "confusion",
            lambda: confusion_figure(measured.counts_RC(), measured.classes, measured.columns()),
            "Confusion matrix",
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
    ) -> list[str | Picture]:
        """A clip of figure 5 or 6 as a PNG, its cliques as a CSV, and what the page says of it.

        Args:
            clip: what to show.
            names: of the detector's classes.
            figure: which.
            title: HTML.
            against: whether what speaks against the class is shown in place of what speaks for it.
        """
        cliques = clip.strongest(_LISTED_CLIQUES, against=against)
        picture_HW3 = draw_pairs(clip, names, cliques[:MOST_LINES])
        held = io.BytesIO()
        Image.fromarray(picture_HW3).save(held, format="PNG", compress_level=6)
        name = f"{figure}-{clip.activity + 1:03d}-{_file_name(clip.id)}"
        self._bytes(f"{name}.png", held.getvalue())
        words = [
            " \u2013 ".join(
                f"{clip.name_of(place, names)} (frame {place[0] + 1})" for place in clique.objects
            )
            for clique in cliques
        ]
        listed = [
            (text, each.fall, each.activation) for text, each in zip(words, cliques, strict=True)
        ]
        self._csv(f"{name}.csv", ("pair", "fall", "activation"), listed)
        picture = Picture(
            key=name,
            data=webp(picture_HW3),
            media="image/webp",
            alt=f"Frames of {clip.id[:100]}; first pair: {words[0] if words else 'none'}",
            file=f"report/{name}.png",
            rank=_RANKS[figure],
        )
        lines = [f"<b>{title}</b> {shown(clip.id, 60)}"]
        lead = "First pair" if figure == "figure5" else "Misled by"
        for text, fall, activation in listed[:1]:
            lines.append(f"{lead}: {shown(text)}, fall {fall:.3f}, activation {activation:.2f}.")
        lines += decided_lines(clip.decided_by, clip.seen(names)[:8])
        return ["<figure>", picture, f"<figcaption>{'<br>'.join(lines)}</figcaption></figure>"]


def _file_name(text: str) -> str:
    """What of a text of others may stand in a file's name, told from others by a digest."""
    plain = re.sub(r"[^A-Za-z0-9]+", "_", text).strip("_")[:40]
    if plain == text:
        return plain
    return f"{plain}-{hashlib.sha256(text.encode(errors='surrogatepass')).hexdigest()[:6]}"
