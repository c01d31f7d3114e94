"""What a run uses: its scores on clips whose frames or objects were changed, as part of a file
eval-SPLIT.json."""

from collections.abc import Iterator

from pydantic import BaseModel

from orn.shared.text import counted, truncate
from orn.shared.text_summary import Table

CHANGES = {
    "reversed": "frames in reversed order",
    "shuffled": "frames in shuffled order",
    "one_frame": "only the middle frame",
    "no_objects": "without objects",
    "other_objects": "objects of another clip",
}
"""Changes of clips by their name in files."""
MOST_CLIPS = 200
"""Largest number of clips that are changed if the network computes features from frames."""


class Control(BaseModel, frozen=True):
    """The score on changed clips, and its paired difference to that on the clips as they are."""

    value: float | None
    difference: float | None
    low: float | None
    """Lower bound of the 95 % interval of the difference; None if it is undefined."""
    high: float | None

    def difference_text(self, *, scale: float, digits: int) -> str:
        """Return the difference with its interval, times `scale`."""
        if self.difference is None:
            return "-"
        text = f"{scale * self.difference:+.{digits}f}"
        if self.low is None or self.high is None:
            return text
        return f"{text} [{scale * self.low:+.{digits}f}, {scale * self.high:+.{digits}f}]"


class ControlResults(BaseModel, frozen=True):
    """The controls of an evaluation."""

    num_segments: int
    unchanged: float | None
    """Score of these segments as they are."""
    changes: dict[str, Control]
    """Results by name in `CHANGES`."""
    exchanged: list[tuple[str, str, int]]
    """Pairs of classes, and how many clips of one, predicted correctly, are predicted as the other
    if they are reversed; at most three, the most frequent first. For single labels."""

    def title(self, num_segments: int) -> str:
        """Return a title with the number of changed clips, of `num_segments` in the evaluation."""
        share = f"{self.num_segments:,} of {counted(num_segments, 'clip')}"
        return f"changed clips{f' ({share})' if self.num_segments < num_segments else ''}"

    def rows(self, *, scale: float, digits: int) -> Iterator[tuple[str, str, str]]:
        """Yield the change, the score and its difference, times `scale`, of each row of a table."""
        if self.unchanged is not None:
            yield "none", f"{scale * self.unchanged:.{digits}f}", ""
        for name, control in self.changes.items():
            value = "-" if control.value is None else f"{scale * control.value:.{digits}f}"
            yield CHANGES[name], value, control.difference_text(scale=scale, digits=digits)

    def sentence(self) -> str:
        """Return what the order of frames is worth, and which classes reversing exchanges."""
        order = self.changes["reversed"]
        if order.difference is None or order.low is None or order.high is None:
            return "The worth of the order of frames is unknown: it needs several groups of clips."
        if order.low <= 0 <= order.high or order.difference > 0:
            points = order.difference_text(scale=100, digits=1)
            return f"No use of the order of frames is shown: reversing them gives {points} points."
        worth = f"{-100 * order.difference:.1f} points"
        worth += f" [{-100 * order.high:.1f}, {-100 * order.low:.1f}]"
        pairs = [
            f"{truncate(one, 40)} into {truncate(other, 40)} ({number})"
            for one, other, number in self.exchanged
        ]
        turns = f": reversing them turns {', '.join(pairs)}" if pairs else ""
        return f"The order of frames is worth {worth}{turns}."


def control_table(results: ControlResults, *, metric: str, num_segments: int) -> Table:
    """Return the results as a table."""
    return Table(
        header=(results.title(num_segments), metric, "difference"),
        rows=[*results.rows(scale=1, digits=4)],
    )
