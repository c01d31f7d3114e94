"""Records of JSON and CSV files, with typed fields; the elements of large JSON files, one at a
time."""

import codecs
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Self

import ijson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from orn.shared.config.fields import Printable, problems_of
from orn.shared.data_files import open_file
from orn.shared.errors import ObjectImportError
from orn.shared.text import path_text

MOST_ELEMENT_BYTES = 4 * 2**20
"""Maximum size of an element, which takes up to 25 times its size in memory."""
_CHUNK_BYTES = 2**16

Text = Annotated[Printable, Field(min_length=1, max_length=1000)]
"""The name of a video, class or image."""
Number = Annotated[float, Field(ge=-1e9, le=1e9)]
"""A coordinate, or a time in seconds."""
Place = Annotated[int, Field(ge=0, le=10**15)]
"""The number of a frame."""
Track = Annotated[int, Field(ge=-1, lt=2**63)]
"""The number of an object in a video, the same in all frames; -1 for none."""
Score = Annotated[float, Field(ge=0, le=1)]


class Record(BaseModel):
    """A record with typed fields; other keys are ignored."""

    model_config = ConfigDict(strict=True, extra="ignore", allow_inf_nan=False)

    @classmethod
    def of(cls, value: Any, what: str) -> Self:
        """Parse a record; `what` identifies it in messages."""
        try:
            return cls.model_validate(value)
        except ValidationError as err:
            raise ObjectImportError(
                f"{problems_of(err, cls)}; correct the file", where=what
            ) from err


def elements_of(path: Path) -> Iterator[tuple[str, Any, int]]:
    """Yield the elements of a JSON file that contains a list or an object.

    An element of the list has the key "". The members of an object are elements, except that a
    member that is a list is replaced by its own elements.

    Yields:
        Key, value, and the element's number in its list, from 1.

    Raises:
        ObjectImportError: if the file is not JSON, or an element exceeds `MOST_ELEMENT_BYTES`.
    """
    number = 0
    with open_file(path, error=ObjectImportError) as file:
        if file.peek(3).startswith(codecs.BOM_UTF8):
            file.read(3)
        bounded = _Bounded(file)
        events = ijson.basic_parse(bounded, use_float=True, buf_size=_CHUNK_BYTES)
        try:
            for key, value, number in _elements(events):
                bounded.left = MOST_ELEMENT_BYTES
                yield key, value, number
        except (ijson.JSONError, ValueError, RecursionError) as err:
            reason = (
                "too many levels"
                if isinstance(err, RecursionError)
                else str(err).partition("\n")[0]
            )
            raise ObjectImportError(
                f"expected JSON in UTF-8 with elements of at most {MOST_ELEMENT_BYTES:,} bytes, "
                f"got {path_text(reason)} after element {number:,}; export the file again",
                where=path_text(path),
            ) from err
        except OSError as err:
            raise ObjectImportError(f"cannot be read ({err.strerror})", where=path) from err


@dataclass(slots=True)
class _Bounded:
    """A file of which at most `left` bytes are read."""

    file: BinaryIO
    left: int = MOST_ELEMENT_BYTES

    def read(self, size: int) -> bytes:
        """Read bytes for the parser."""
        self.left -= size
        if self.left < 0:
            raise ValueError("a larger one")
        return self.file.read(size)


_Events = Iterator[tuple[str, Any]]


def _elements(events: _Events) -> Iterator[tuple[str, Any, int]]:
    """Yield what `elements_of` does."""
    event, value = next(events)
    if event == "start_array":
        yield from _of_list("", events)
    elif event == "start_map":
        for _, key in iter(events.__next__, ("end_map", None)):
            event, value = next(events)
            if event == "start_array":
                yield from _of_list(key, events)
            else:
                yield key, _value(event, value, events), 1
    else:
        raise ValueError("neither a list nor an object")
    for _ in events:  # raises an error if there are any
        pass


def _of_list(key: str, events: _Events) -> Iterator[tuple[str, Any, int]]:
    rows = iter(events.__next__, ("end_array", None))
    for number, (event, value) in enumerate(rows, start=1):
        yield key, _value(event, value, events), number


def _value(event: str, value: Any, events: _Events) -> Any:
    """Return the value that begins with an event."""
    if event == "start_array":
        rows = iter(events.__next__, ("end_array", None))
        return [_value(event, value, events) for event, value in rows]
    if event == "start_map":
        keys = iter(events.__next__, ("end_map", None))
        return {key: _value(*next(events), events) for _, key in keys}
    return value
