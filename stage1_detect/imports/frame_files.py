"""Names of files that hold the objects of one frame."""

import re
from pathlib import Path
from typing import Annotated

from pydantic import ConfigDict, Field

from orn.shared.errors import ObjectImportError
from orn.stage1_detect.imports.json_records import Place, Record, Text, Track


class FrameFile(Record):
    """What the name of a file contains."""

    model_config = ConfigDict(strict=False)

    video: Text
    frame: Place
    name: Annotated[Text, Field(validation_alias="class")] = "object"
    track: Track = -1

    @property
    def is_object(self) -> bool:
        """Whether the file is one object of the frame."""
        return bool(self.model_fields_set & {"name", "track"})


def named_in(path: Path, pattern: re.Pattern[str]) -> FrameFile:
    """Return what the name of a file contains; if it has no video, this is the name of its folder.

    Args:
        path: the file.
        pattern: pattern of the path, with the groups `video` and `frame`, and `class` or `track`.
    """
    match = pattern.fullmatch(path.as_posix())
    if match is None:
        raise ObjectImportError(
            "expected a name with a video and the number of a frame; pass a pattern with --names",
            where=path,
        )
    parts = {key: text for key, text in match.groupdict().items() if text is not None}
    return FrameFile.of({"video": path.absolute().parent.name} | parts, str(path))
