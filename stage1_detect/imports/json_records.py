"""Records of JSON and CSV files, with typed fields; the elements of large JSON files, one at a
time."""

from codecs import BOM_UTF8
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Self

import ijson
from ijson.common import ObjectBuilder
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from orn.shared.config.fields import Printable, explain
from orn.shared.data_files import open_file
from orn.shared.errors import ObjectImportError
from orn.shared.text import path_text

MOST_ELEMENT_BYTES = 4 * 2**20
"""Maximum size of an element, which takes up to 25 times its size in memory."""
_MOST_DEPTH = 32


Events = Iterator[tuple[str, Any]]

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
        if file.peek(len(BOM_UTF8)).startswith(BOM_UTF8):
            file.seek(len(BOM_UTF8))
        bounded = _BoundedFile(file)
        try:
            for key, number, value in _elements(ijson.basic_parse(bounded, use_float=True)):
                yield key, value, number
                bounded.left = MOST_ELEMENT_BYTES
        except (ValueError, ijson.JSONError) as err:  # ValueError: numbers and UTF-8
            reason = str(err).removeprefix("b'").split("\n")[0]
            raise ObjectImportError(
                f"{path_text(path)}: expected JSON in UTF-8 with elements of at most "
                f"{MOST_ELEMENT_BYTES:,} bytes, got {path_text(reason)} after element "
                f"{number:,}; export the file again"
            ) from err
        except OSError as err:
            raise ObjectImportError(f"{path}: cannot be read ({err.strerror})") from err


class _BoundedFile:
    """A file of which a limited number of bytes can be read before `left` is reset."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.left = MOST_ELEMENT_BYTES

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes; raise ValueError at the limit."""
        if self.left <= 0:
            raise ValueError("a larger one")
        self.left -= size
        return self._file.read(size)


def _elements(events: Events) -> Iterator[tuple[str, int, Any]]:
    """Yield key, number and value of each element."""
    event, value = next(events)
    if event == "start_array":
        yield from _of_list("", events)
    elif event == "start_map":
        for event, key in events:
            if event == "end_map":
                break
            event, value = next(events)
            if event == "start_array":
                yield from _of_list(key, events)
            else:
                yield key, 1, _value(events, event, value)
    else:
        raise ValueError("neither a list nor an object")
    for _ in events:  # reports content after the end
        pass


def _of_list(key: str, events: Events) -> Iterator[tuple[str, int, Any]]:
    for number, (event, value) in enumerate(events, start=1):
        if event == "end_array":
            return
        yield key, number, _value(events, event, value)


def _value(events: Events, event: str, value: Any) -> Any:
    """Return the value that begins with an event."""
    builder, depth = ObjectBuilder(), 0
    while True:
        depth += event.startswith("start") - event.startswith("end")
        if depth > _MOST_DEPTH:
            raise ValueError(f"more than {_MOST_DEPTH} levels")
        builder.event(event, value)
        if depth == 0:
            return builder.value
        event, value = next(events)
