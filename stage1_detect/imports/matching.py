"""Which video of a source is which listed one.

Its id must be the listed one. Where none has it exactly, one that differs in case only is taken, as
VLOG's list asks for, unless two videos of the source or two ids come into question. Nothing is
guessed and nothing is passed over in silence.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from orn.stage1_detect.imports.source import SourceVideo


@dataclass(frozen=True, slots=True, kw_only=True)
class Matching:
    """What became of the videos of a source and of the listed ones."""

    matched: dict[str, SourceVideo]
    """That of each listed video that has one, in the order of the list."""
    ignoring_case: tuple[str, ...]
    """Ids of `matched` that the source writes in another case."""
    unmatched: tuple[SourceVideo, ...]
    """Those that were not taken."""
    ambiguous: tuple[str, ...]
    """Listed ids without one, for which several were to choose from."""


def match_videos(found: Sequence[SourceVideo], video_ids: Iterable[str]) -> Matching:
    """Pair the videos of a source with listed ones, each listed once."""
    video_ids = tuple(video_ids)
    exact, folded = _by_id(found, fold=False), _by_id(found, fold=True)
    matched = {each: exact[each][0] for each in video_ids if len(exact.get(each, ())) == 1}
    taken = {id(video) for video in matched.values()}
    asking: dict[str, list[str]] = defaultdict(list)
    for each in video_ids:
        if each not in matched and each.casefold() in folded:
            asking[each.casefold()].append(each)
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


def _by_id(found: Iterable[SourceVideo], *, fold: bool) -> dict[str, list[SourceVideo]]:
    videos: dict[str, list[SourceVideo]] = defaultdict(list)
    for video in found:
        videos[video.id.casefold() if fold else video.id].append(video)
    return videos
