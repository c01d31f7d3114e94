"""Files of a report: figures as PNG and SVG, tables as CSV.

All files are created in memory before the first one is written.
"""

import hashlib
import io
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from orn.shared.csv_text import csv_text
from orn.shared.jobs.atomic_file import write_bytes
from orn.stage2_train.clips.objects import BACKGROUND
from orn.stage2_train.explanation.class_pairs import ClassPairs
from orn.stage2_train.explanation.figures import (
    bars_figure,
    confusion_figure,
    curves_figure,
    png_and_svg,
)
from orn.stage2_train.explanation.measured import Measured
from orn.stage2_train.explanation.page_pictures import Picture
from orn.stage2_train.explanation.scale import FULL_DROP
from orn.stage2_train.runs.run_folder import METRICS_NAME, finite_number, read_jsonl

BARS = 5
"""Number of pairs of classes for each activity in figure 4."""
_MOST_GRAPHS = 60
"""Maximum number of activities with a plot; the table lists all activities."""
_OURS = re.compile(r"(figure[456](-.*)?|metrics|classes|clips|confusion|training)\.(png|svg|csv)")


class ReportFiles:
    """Collector of files until `publish`, so that an interrupted report changes nothing.

    Args:
        run: the run folder.
    """

    def __init__(self, run: Path) -> None:
        self.run, self.folder = run, run / "report"
        self._content: dict[str, bytes] = {}

    def publish(self) -> int:
        """Write the files, remove others from an earlier report, and return their number."""
        for name, content in self._content.items():
            write_bytes(self.folder / name, content)
        for path in self.folder.iterdir():
            if _OURS.fullmatch(path.name) and path.name not in self._content:
                path.unlink()
        return len(self._content)

    def csv(self, name: str, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Add a table."""
        self._content[f"{name}.csv"] = csv_text([header, *rows]).encode(errors="backslashreplace")

    def _graph(self, name: str, draw: Any, alt: str) -> Picture:
        png, svg = png_and_svg(draw)
        self._content |= {f"{name}.png": png, f"{name}.svg": svg}
        file = f"report/{name}.png"
        return Picture(key=name, data=svg, media="image/svg+xml", alt=alt, file=file, rank=0)

    def picture(self, name: str, picture_HW3: NDArray[np.uint8]) -> str:
        """Add a picture as PNG and return its path relative to the run folder."""
        held = io.BytesIO()
        Image.fromarray(picture_HW3).save(held, format="PNG", compress_level=1)
        self._content[f"{name}.png"] = held.getvalue()
        return f"report/{name}.png"

    def tables(self, measured: Measured, videos: Sequence[str]) -> None:
        """Add metrics.csv, classes.csv, confusion.csv and clips.csv."""
        file, classes = measured.file, measured.classes
        heads = file.heads()
        self.csv(
            "metrics",
            ("head", "metric", "value", "low", "high"),
            [
                (head, name, value, *(file.interval(head, name) or ("", "")))
                for head, figures in heads.items()
                for name, value in figures.items()
            ],
        )
        self.csv(
            "classes",
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
        counts = measured.counts_RC().tolist()
        rows = [(name, *row) for name, row in zip(classes, counts, strict=True)]
        self.csv("confusion", ("true", *measured.columns()), rows)
        chance_NA, clips = measured.probability_NA, []
        marked = zip(measured.true_NA(), measured.predicted_NA(), strict=True)
        for row, (true_A, predicted_A) in enumerate(marked):
            true, predicted = np.flatnonzero(true_A), np.flatnonzero(predicted_A)
            names = ("; ".join(classes[each] for each in some) for some in (true, predicted))
            chances = "; ".join(f"{chance_NA[row, each]:.4f}" for each in predicted)
            clips.append((measured.predictions.ids[row], videos[row], *names, chances))
        self.csv("clips", ("id", "video", "true", "predicted", "probability"), clips)

    def curves(self, metric: str, chance: float) -> Picture | None:
        """Add training.png, .svg and .csv; return None if the run has no log."""
        lines = []
        for record in read_jsonl(self.run / METRICS_NAME):
            numbers = {name: finite_number(record, name) for name in record}
            line: dict[str, Any] = {name: v for name, v in numbers.items() if v is not None}
            if "step" in line:
                lines.append(line | {each: str(record.get(each)) for each in ("group", "phase")})
        if not lines:
            return None
        columns = list(dict.fromkeys(name for line in lines for name in line))
        rows = [[line.get(name, "") for name in columns] for line in lines]
        self.csv("training", columns, rows)
        return self._graph(
            "training",
            lambda: curves_figure(lines, metric, chance),
            "Training curves: losses and validation scores",
        )

    def confusion(self, measured: Measured) -> Picture:
        """Add confusion.png and .svg."""
        return self._graph(
            "confusion",
            lambda: confusion_figure(measured.counts_RC(), measured.classes, measured.columns()),
            "Confusion matrix: rows are true classes, columns predicted classes",
        )

    def class_pairs(self, pairs: ClassPairs, classes: Sequence[str], names: Sequence[str]) -> None:
        """Add figure4.csv with all pairs of classes, and plots of the largest logit drops."""
        named = [*names, BACKGROUND]
        self.csv(
            "figure4",
            (
                *("activity", "activity_clips", "first", "second", "pairs", "clips"),
                *("mean_activation", "mean_drop", "mean_strongest_drop"),
            ),
            [
                (
                    *(classes[activity], int(pairs.num_clips_A[activity])),
                    *(named[pair.first], named[pair.second], pair.num_pairs, pair.num_clips),
                    *(pair.activation, pair.drop, pair.strongest),
                )
                for activity in pairs.most_seen()
                for pair in pairs.found(activity)
            ],
        )
        for activity in pairs.most_seen()[:_MOST_GRAPHS]:
            title, ranked = classes[activity], pairs.ranked(activity)[:BARS]
            texts = [f"{named[pair.first]} \u2013 {named[pair.second]}" for pair in ranked]
            drops = [max(pair.strongest, 0.0) for pair in ranked]
            if ranked:
                self._graph(
                    f"figure4-{activity + 1:03d}-{file_name(title)}",
                    lambda texts=texts, drops=drops, title=title: bars_figure(  # type: ignore[misc]
                        texts, drops, title, full=FULL_DROP
                    ),
                    "",
                )


def file_name(text: str) -> str:
    """Return a file name for a text, with a digest if characters had to be omitted."""
    plain = re.sub(r"[^A-Za-z0-9]+", "_", text).strip("_")[:40]
    if plain == text:
        return plain
    return f"{plain}-{hashlib.sha256(text.encode(errors='surrogatepass')).hexdigest()[:6]}"
