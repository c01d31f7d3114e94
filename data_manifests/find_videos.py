"""Find the video files of a data set, and their approximate lengths from their headers; links are
followed.

Video ids are untrusted but validated by the table readers: no id contains `..` or begins with a
slash.
"""

import errno
import logging
import os
import stat
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from orn.data_manifests.records import Segment, Video
from orn.shared.errors import DataRootError, VideoDecodeError
from orn.shared.jobs.progress import progress
from orn.shared.jobs.workers import in_threads
from orn.shared.text import counted
from orn.shared.video.read import FrameEstimate, estimate

logger = logging.getLogger(__name__)

_SLACK_SECONDS = 10.0
_QUICKLY_READ = 1000
"""Number of headers that are read in a second or two, without a progress bar."""
VIDEO_SUFFIXES = (".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ts", ".webm", ".wmv")


class FoundVideo(NamedTuple):
    """The file, or folder of frames, of a listed video."""

    ignoring_case: bool
    """Whether the name matches only if case (as in VLOG's list) is ignored."""
    path: str


def expand(pattern: str, video_id: str) -> str:
    """Return the path of a video, relative to the data set's folder, from the pattern."""
    person = video_id.partition("_")[0]
    return pattern.replace("{person}", person).replace("{id}", video_id)


def find_videos(
    folder: Path, pattern: str, video_ids: Sequence[str], *, are_folders: bool
) -> dict[str, FoundVideo]:
    """Return the existing videos by id, in the order of `video_ids`.

    If there is no exact match, a file is accepted whose name differs only in case, unless it also
    matches a different listed id.

    Args:
        folder: folder of the data set.
        pattern: path of a video relative to the folder.
        video_ids: listed ids.
        are_folders: whether videos are frame folders instead of files.

    Raises:
        DataRootError: if a searched folder cannot be read.
    """
    tree = _Tree(str(folder), are_folders=are_folders)
    matches = {
        video_id: match
        for video_id in video_ids
        if (match := tree.find(expand(pattern, video_id))) is not None
    }
    claims = Counter(match.path for match in matches.values())
    videos: dict[str, FoundVideo] = {}
    for video_id, match in matches.items():
        if match.ignoring_case and claims[match.path] > 1:
            logger.warning(
                "%s is not used for video %r: it matches others as well", match.path, video_id
            )
        else:
            videos[video_id] = match
    return videos


class _Tree:
    """The folder tree of a data set; each folder is listed at most once.

    Paths are strings, and exact matches are found without listing folders, so that a hundred
    thousand videos take a few seconds.
    """

    def __init__(self, top: str, *, are_folders: bool) -> None:
        self._top = top
        self._are_folders = are_folders
        self._folders: dict[str, list[FoundVideo]] = {"": [FoundVideo(False, top)]}
        self._entries: dict[str, dict[str, list[str]]] = {}

    def find(self, relative: str) -> FoundVideo | None:
        """Return the best match for a path relative to the top folder."""
        exact = FoundVideo(False, f"{self._top}/{relative}")
        if self._fits(exact):
            return exact
        return min(filter(self._fits, self._like(relative)), default=None)

    def _fits(self, match: FoundVideo) -> bool:
        """Return whether the entry is a folder, or a non-folder if videos are files; the reader
        rejects pipes and circular links."""
        try:
            mode = os.stat(match.path).st_mode  # noqa: PTH116, paths are strings here
        except OSError as err:
            return err.errno == errno.ELOOP
        return stat.S_ISDIR(mode) == self._are_folders

    def _like(self, relative: str) -> list[FoundVideo]:
        """Return the matches for a path, ignoring case."""
        above, _, name = relative.rpartition("/")
        if above not in self._folders:
            self._folders[above] = [
                match for match in self._like(above) if os.path.isdir(match.path)
            ]
        return [
            FoundVideo(folder.ignoring_case or child != name, f"{folder.path}/{child}")
            for folder in self._folders[above]
            for child in self._children(folder.path).get(name.casefold(), [])
        ]

    def _children(self, folder: str) -> dict[str, list[str]]:
        """Return the names in a folder by their case-folded form."""
        if folder not in self._entries:
            entries = self._entries[folder] = defaultdict(list)
            try:
                for child in os.listdir(folder):  # noqa: PTH208
                    entries[child.casefold()].append(child)
            except OSError as err:
                raise DataRootError(f"{folder}: cannot be read ({err.strerror})") from err
        return self._entries[folder]


def without_suffix(video_id: str) -> str:
    """Return an id in lower case, without the extension of a video file."""
    path = PurePosixPath(video_id.casefold())
    return str(path.with_suffix("") if path.suffix in VIDEO_SUFFIXES else path)


def read_headers(videos: Sequence[Video]) -> dict[str, FrameEstimate]:
    """Return the length of each video, in order; 0 frames if it cannot be opened.

    Args:
        videos: videos with distinct ids.
    """

    def length_of(video: Video) -> FrameEstimate:
        try:
            length = estimate(video.path, rate=video.rate)
        except VideoDecodeError as err:
            length = FrameEstimate(frames=0, rate=25.0, problem=str(err))
        if bar is not None:
            bar.advance()
        return length

    if not videos:
        return {}
    number, is_shown = len(videos), len(videos) > _QUICKLY_READ
    shown = progress("read headers", total=number, unit="videos") if is_shown else nullcontext()
    with shown as bar:
        lengths = in_threads(length_of, videos)
    return {video.id: length for video, length in zip(videos, lengths, strict=True)}


def warn_of_times_beyond(segments: Iterable[Segment], lengths: Mapping[str, FrameEstimate]) -> None:
    """Warn about segments that end far beyond their video; small differences are common, because
    headers and tables are inexact."""
    beyond = []
    for segment in segments:
        length = lengths.get(segment.video_id)
        end = max(segment.start_seconds or 0.0, segment.stop_seconds or 0.0)
        if length and length.frames and end > 2 * length.seconds + _SLACK_SECONDS:
            beyond.append((segment, end, length.seconds))
    if beyond:
        segment, end, seconds = beyond[0]
        logger.warning(
            "%s far beyond the end of the video; the first, %r, ends at %g s, but video %r is "
            "about %g s long. The part inside the video is used",
            *(
                counted(len(beyond), "segment ends", "segments end"),
                segment.id,
                end,
                segment.video_id,
                seconds,
            ),
        )
