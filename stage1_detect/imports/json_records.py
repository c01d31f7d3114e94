"""Records of JSON and CSV files, with typed fields; the elements of large JSON files, one at a
time."""

import codecs
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, BinaryIO, NoReturn, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from orn.shared.config.fields import Printable, explain
from orn.shared.data_files import open_file
from orn.shared.errors import ObjectImportError
from orn.shared.text import path_text

MOST_ELEMENT_BYTES = 4 * 2**20
"""Maximum size of an element, which takes up to 25 times its size in memory."""
_CHUNK_BYTES = 2**18
_SPACE: Any = re.compile(r"[ \t\n\r]*").match  # matches at any place

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
            raise ObjectImportError(f"{explain(err, cls)}; correct the file", where=what) from err


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
        try:
            for key, value, number in _elements(_Text(file)):
                yield key, value, number
        except (ValueError, RecursionError) as err:  # ValueError: JSON, numbers and UTF-8
            reason = "too many levels" if isinstance(err, RecursionError) else str(err)
            raise ObjectImportError(
                f"{path_text(path)}: expected JSON in UTF-8 with elements of at most "
                f"{MOST_ELEMENT_BYTES:,} bytes, got {path_text(reason)} after element "
                f"{number:,}; export the file again"
            ) from err
        except OSError as err:
            raise ObjectImportError(f"cannot be read ({err.strerror})", where=path) from err


def _elements(text: "_Text") -> Iterator[tuple[str, Any, int]]:
    """Yield what `elements_of` does."""
    if text.takes("["):
        yield from _of_list("", text)
    elif text.takes("{"):
        for _ in text.items("}"):
            key = text.value()
            if not isinstance(key, str) or not text.takes(":"):
                raise ValueError("a member without a name")
            key.encode()  # rejects half of a surrogate pair
            if text.takes("["):
                yield from _of_list(key, text)
            else:
                yield key, text.value(), 1
    else:
        raise ValueError("neither a list nor an object")
    if text.next_sign():
        raise ValueError("content after the end")


def _of_list(key: str, text: "_Text") -> Iterator[tuple[str, Any, int]]:
    for number in text.items("]"):
        yield key, text.value(), number


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant}, which is not a number")


class _Text:
    """The text of a JSON file from its first unread sign on; one element is in memory at a time.

    All methods raise ValueError if the text is invalid, or an element is larger than allowed.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._utf8 = codecs.getincrementaldecoder("utf-8-sig")()
        self._decode = json.JSONDecoder(parse_constant=_refuse).raw_decode
        self._text, self._at = "", 0
        self._left = MOST_ELEMENT_BYTES

    def _reads_more(self) -> bool:
        """Append text of the file, twice as much if an element needs it; False at its end."""
        if self._left <= 0:
            raise ValueError("a larger one")
        size = min(max(_CHUNK_BYTES, len(self._text) - self._at), self._left)
        content = self._file.read(size)
        self._left -= size
        more = self._utf8.decode(content, final=not content)
        if content:
            self._text, self._at = self._text[self._at :] + more, 0
        return bool(content)

    def next_sign(self) -> str:
        """Return the next sign that is not white space; empty at the end."""
        while True:
            self._at = _SPACE(self._text, self._at).end()
            if self._at < len(self._text) or not self._reads_more():
                return self._text[self._at : self._at + 1]

    def takes(self, sign: str) -> bool:
        """Return whether this is the next sign, and move behind it."""
        is_next = self.next_sign() == sign
        self._at += is_next
        return is_next

    def items(self, end: str) -> Iterator[int]:
        """Yield numbers from 1 before each item of a list or object, which the caller reads."""
        number = 0
        while (sign := self.next_sign()) != end:
            if number:
                if sign != ",":
                    raise ValueError(f"{sign or 'the end'!r} in place of a comma")
                self._at += 1
            number += 1
            yield number
        self._at += 1

    def value(self) -> Any:
        """Return the next value."""
        self.next_sign()
        while True:
            try:
                value, end = self._decode(self._text, self._at)
            except json.JSONDecodeError as err:  # or the rest has not been read
                if not self._reads_more():
                    raise ValueError(err.msg) from err
                continue
            if len(self._text) - end < len("e-1") and self._reads_more():
                continue  # since a number may go on
            self._at, self._left = end, MOST_ELEMENT_BYTES
            return value
