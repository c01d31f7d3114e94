"""What runs reached, as one long CSV: a line a figure, which anything that reads tables can join.

dataset,split,run,commit,threads,system,seed,setting,value,head,metric,result

`setting` and `value` say what is varied and are empty where nothing is. `head` is `two_heads`,
`activity_head` or `object_head` with the metrics of `orn eval` as shares, or empty with figures of
the whole run: `chance`, `floor`, `num_segments`, `steps`, `seconds` of training, `clips_per_second`
, `parameters`, `last_loss` and `loss_fall`.
"""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import field, fields
from pathlib import Path
from typing import Annotated, Any

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from orn.shared.config.bounded import read_bounded, shown
from orn.shared.config.fields import explain
from orn.shared.csv_text import csv_text, unquoted
from orn.shared.errors import ConfigError, PipelineError
from orn.shared.jobs.atomic_file import write_text
from orn.stage2_train.evaluation.bootstrap import Tallies
from orn.stage2_train.evaluation.predictions import Predictions, late_fusion, load_predictions
from orn.stage2_train.runs.run_folder import HEADS

LATE_FUSION = "late-fusion"
AND = " + "
_NUMBERS = ConfigDict(extra="forbid", allow_inf_nan=False)


@dataclass(frozen=True, slots=True, kw_only=True, config=_NUMBERS)
class _Training:
    """Which one it was."""

    dataset: str
    split: str
    run: str
    commit: str
    threads: str
    system: Annotated[str, Field(min_length=1)]
    seed: Annotated[int, Field(ge=0)]
    setting: str = ""
    value: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, config=_NUMBERS)
class _Line(_Training):
    """Of the CSV."""

    head: Annotated[str, Field(pattern=f"^({'|'.join(HEADS)})?$")]
    metric: str
    result: float


_NAMES = tuple(each.name for each in fields(_Line))


@dataclass(frozen=True, slots=True, kw_only=True, config=_NUMBERS)
class RunResult(_Training):
    """What one training reached."""

    figures: dict[tuple[str, str], float] = field(default_factory=dict)
    """By head and metric."""

    @property
    def heads(self) -> tuple[str, ...]:
        """Those that were measured, the prediction first."""
        found = {head for head, _ in self.figures}
        return tuple(head for head in HEADS if head in found)

    @property
    def metric(self) -> str:
        """`map` or `top1`."""
        return "map" if (self.heads[0], "map") in self.figures else "top1"

    def percent(self, head: str | None = None) -> float:
        """The metric of a head, of the prediction if None."""
        return 100 * self.figures[head or self.heads[0], self.metric]

    def predictions(self) -> Predictions | None:
        """What `orn eval` kept of the run; None where there is nothing that can be read."""
        try:
            first, *second = (
                load_predictions(Path(run) / f"predictions-{self.split}.npz")
                for run in self.run.split(AND)
            )
            return late_fusion(first, *second) if second else first
        except PipelineError:
            return None

    def tallies(self) -> tuple[tuple[str, ...], Tallies] | None:
        """Segments, and what the run predicted of them; None where that was not kept, or does not
        give the score that was measured."""
        found = self.predictions()
        try:
            if not found or not found.ids:
                return None
            kept = Tallies(found.labels, found.logits, found.unsure)
            is_measured = abs(100 * kept.once()[0] - self.percent()) < 0.01
            return (found.ids, kept) if is_measured else None
        except (ValueError, LookupError, TypeError, StopIteration):  # damaged arrays
            return None


def write_csv(results: Iterable[RunResult], path: Path) -> None:
    """Writes a line a figure; the same results give the same bytes."""
    rows: list[Sequence[str]] = [_NAMES]
    for each in results:
        own = [getattr(each, name) for name in _NAMES[:-3]]
        rows += [
            [*own, head, metric, repr(value)] for (head, metric), value in each.figures.items()
        ]
    write_text(path, csv_text(rows))


def _as_written(row: dict[str, Any]) -> dict[str, Any]:
    return {name: unquoted(cell) if isinstance(cell, str) else cell for name, cell in row.items()}


def read_csv(path: Path) -> list[RunResult]:
    """The results of such a file, in its order.

    Raises:
        ConfigError: if it is something else.
    """
    wanted = f"{path}: wanted the CSV of `orn ablate`, table-TABLE-SPLIT.csv"
    lines = TypeAdapter(list[_Line])
    found: dict[tuple[str, ...], RunResult] = {}
    try:
        text = read_bounded(path).decode()
        reader = csv.DictReader(io.StringIO(text, newline=""), restkey="", strict=True)
        if tuple(reader.fieldnames or ()) != _NAMES:
            raise ConfigError(f"{wanted}; its first line is not {','.join(_NAMES)}")
        rows = lines.validate_python([_as_written(row) for row in reader])
    except ValidationError as err:
        raise ConfigError(f"{wanted}; {explain(err, _Line)}") from err
    except (ValueError, csv.Error) as err:
        reason = str(err).removeprefix(f"{shown(path)}: ")
        raise ConfigError(f"{wanted}; {reason}") from err
    for row in rows:
        key = (row.dataset, row.split, row.system, str(row.seed), row.setting, row.value)
        own = {name: getattr(row, name) for name in _NAMES[:-3]}
        result = found.setdefault(key, RunResult(**own))
        if result.run != row.run or (row.head, row.metric) in result.figures:
            raise ConfigError(
                f"{wanted}; {row.system}, seed {row.seed}, {row.metric}: wanted it once, found it "
                "twice"
            )
        result.figures[row.head, row.metric] = row.result
    for result in found.values():
        if not result.heads or (result.heads[0], result.metric) not in result.figures:
            raise ConfigError(
                f"{wanted}; {result.system}, seed {result.seed}: wanted top1 or map of a head, "
                "found neither"
            )
    if not found:
        raise ConfigError(f"{wanted}; found no line")
    return list(found.values())
