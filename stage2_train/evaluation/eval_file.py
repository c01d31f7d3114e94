"""What `orn eval` writes of a split, read again."""

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StrictBool, ValidationError

from shared.config.bounded import read_json
from shared.config.fields import explain
from shared.errors import CheckpointError
from stage2_train.runs.run_folder import HEADS

_Count = Annotated[int, Field(ge=0, strict=True)]
_Share = Annotated[float, Field(ge=0, le=1)]


class ClassRow(BaseModel):
    """What was measured of one class."""

    model_config = ConfigDict(frozen=True)

    name: str = Field(alias="class")
    num_segments: _Count
    two_heads: _Share | None = None
    activity_head: _Share | None = None
    object_head: _Share | None = None
    intervals: dict[str, tuple[_Share, _Share] | None] = {}


class Figure(BaseModel):
    """The interval of a figure; none where it could not be told."""

    model_config = ConfigDict(frozen=True)

    low: _Share | None
    high: _Share | None


class EvalFile(BaseModel):
    """What is read of an `eval-SPLIT.json`."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    dataset: str
    split: str
    trained_on: StrictBool = False
    """Whether the run learned from the split; older files do not say."""
    checkpoint: str
    step: _Count
    num_segments: _Count
    num_skipped: _Count
    clips: _Count
    crops: _Count = 1
    flip: StrictBool = False
    """Older files know no crops or flips."""
    frame_order: str
    metric: str
    chance: _Share
    two_heads: dict[str, float] | None = None
    activity_head: dict[str, float] | None = None
    object_head: dict[str, float] | None = None
    per_class: list[ClassRow]
    figures: dict[str, dict[str, Figure]] = {}
    """By head and name; nothing in files of older releases."""

    def heads(self) -> dict[str, dict[str, float]]:
        """Figures by head, that of the prediction first."""
        found = {head: getattr(self, head) for head in HEADS}
        return {head: figures for head, figures in found.items() if figures is not None}

    def interval(self, head: str, metric: str) -> tuple[float, float] | None:
        """Ends of the 95 % interval that `orn eval` gives a figure; None where it has none."""
        figure = self.figures.get(head, {}).get(metric)
        if figure is None or figure.low is None or figure.high is None:
            return None
        return figure.low, figure.high


def read_eval(path: Path) -> EvalFile:
    """An `eval-SPLIT.json`.

    Raises:
        CheckpointError: if it is absent or damaged.
    """
    try:
        return EvalFile.model_validate(read_json(path, error=CheckpointError))
    except ValidationError as err:
        raise CheckpointError(
            f"{path}: wanted what `orn eval` writes, found {explain(err, EvalFile)}; remove it "
            "and measure again"
        ) from err
