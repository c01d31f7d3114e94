"""Match the videos in a source to the listed videos of a data set.

Ids must be equal. If no id is equal, one that differs only in case (required for VLOG's list) or in
the extension of a video file is accepted, unless the match is ambiguous. Videos without a match are
reported.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from orn.data_manifests.find_videos import VIDEO_SUFFIXES
from orn.stage1_detect.imports.source_objects import SourceVideo


@dataclass(frozen=True, slots=True, kw_only=True)
class Matching:
    """The match between source videos and listed videos."""

    matched: dict[str, SourceVideo]
    """Source video of each matched id, in the order of the list."""
    ignoring_case: tuple[str, ...]
    """Matched ids that differ in case or extension in the source."""
    unmatched: tuple[SourceVideo, ...]
    """Source videos without a match."""
    ambiguous: tuple[str, ...]
    """Listed ids with several candidates."""


def match_videos(found: Sequence[SourceVideo], video_ids: Iterable[str]) -> Matching:
    """Match the videos in a source to the ids of listed videos, which must be distinct."""
    video_ids = tuple(video_ids)
    exact, folded = _by_id(found, fold=False), _by_id(found, fold=True)
    matched = {each: exact[each][0] for each in video_ids if len(exact.get(each, ())) == 1}
    taken = {id(video) for video in matched.values()}
    asking: dict[str, list[str]] = defaultdict(list)
    for each in video_ids:
        if each not in matched and _folded(each) in folded:
            asking[_folded(each)].append(each)
    ambiguous: list[str] = []
    ignoring_case: list[str] = []
    for key, ids in asking.items():
        left = [video for video in folded[key] if id(video) not in taken]
        if len(left) == len(ids) == 1:
            matched[ids[0]] = left[0]
            taken.add(id(left[0]))
            ignoring_case += ids
        elif left:
            ambiguous += ids
    return Matching(
        matched={each: matched[each] for each in video_ids if each in matched},
        ignoring_case=tuple(ignoring_case),
        unmatched=tuple(video for video in found if id(video) not in taken),
        ambiguous=tuple(ambiguous),
    )


def by_file_name(found: Iterable[SourceVideo]) -> Mapping[str, Sequence[SourceVideo]]:
    """Return the videos in a source by the last part of their id, for `match_file`."""
    named: dict[str, list[SourceVideo]] = defaultdict(list)
    for video in found:
        named[PurePosixPath(_folded(video.id)).name].append(video)
    return named


def match_file(named: Mapping[str, Sequence[SourceVideo]], path: Path) -> SourceVideo | None:
    """Return the source video for a file: the one with its name; of several, the one whose id
    agrees with most of the end of its path. None if there is none, or no id agrees."""
    own = PurePosixPath(_folded(path.absolute().as_posix()))
    candidates = named.get(own.name, ())
    if len(candidates) == 1:
        return candidates[0]
    ends = (video for video in candidates if str(own).endswith(f"/{_folded(video.id)}"))
    return max(ends, key=lambda video: len(video.id), default=None)


def _by_id(found: Iterable[SourceVideo], *, fold: bool) -> dict[str, list[SourceVideo]]:
    videos: dict[str, list[SourceVideo]] = defaultdict(list)
    for video in found:
        videos[_folded(video.id) if fold else video.id].append(video)
    return videos


def _folded(video_id: str) -> str:
    """Return an id in lower case, without the extension of a video file."""
    path = PurePosixPath(video_id.casefold())
    return str(path.with_suffix("") if path.suffix in VIDEO_SUFFIXES else path)
