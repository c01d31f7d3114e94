"""What a report of `orn ablate` has to hold to be read again."""

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["AblationReport"]


class _Part(BaseModel):
    """Other fields are let through; figures are finite."""

    model_config = ConfigDict(strict=True, extra="allow", allow_inf_nan=False)


class _Figures(_Part):
    mean: float
    half_width: float | None
    num_seeds: int


class _SystemRow(_Figures):
    system: str
    clips_per_second: float | None


class _Ordering(_Figures):
    better: str
    worse: str
    verdict: str


class AblationReport(_Part):
    """The report of one table."""

    dataset: str
    split: str
    metric: str
    num_segments: int
    chance: float
    systems: list[_SystemRow] = Field(min_length=1)
    orderings: list[_Ordering]
