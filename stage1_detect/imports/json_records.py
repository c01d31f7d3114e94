"""Records of JSON and CSV files, with typed fields."""

from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from orn.shared.config.fields import Printable, explain
from orn.shared.errors import ObjectImportError

Text = Annotated[Printable, Field(min_length=1, max_length=1000)]
"""The name of a video, class or image."""
Number = Annotated[float, Field(ge=-1e9, le=1e9)]
"""A coordinate, or a time in seconds."""
Place = Annotated[int, Field(ge=0, le=10**15)]
"""The number of a frame."""
Score = Annotated[float, Field(ge=0, le=1)]


class Record(BaseModel):
    """A record with typed fields; other keys are ignored."""

    model_config = ConfigDict(strict=True, extra="ignore", allow_inf_nan=False)

    @classmethod
    def of(cls, value: Any, what: str) -> Self:
        """Parse a record from JSON text or from a value; `what` identifies it in messages."""
        read = cls.model_validate_json if isinstance(value, str) else cls.model_validate
        try:
            return read(value)
        except ValidationError as err:
            raise ObjectImportError(f"{what}: {explain(err, cls)}; correct the file") from err
