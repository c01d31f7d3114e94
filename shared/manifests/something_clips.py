"""Clips of Something-Something, of which both releases list an id and a class name."""

import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from shared.errors import ManifestError
from shared.manifests.records import LeftOut, Listing, Segment, Split
from shared.manifests.tables import Problems
from shared.nearest import nearest

__all__ = ["ClipList", "ListedClip", "list_clips"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedClip:
    """One entry of a list."""

    place: int | str
    """Its line from 1, or a name for where it stands."""
    id: str
    """The clip's id."""
    class_name: str | None
    """Its class; None if the list is published without."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipList:
    """The list of one split."""

    split: Split
    clips: Iterable[ListedClip]
    problems: Problems
    """Where to note what is wrong."""


def list_clips(lists: Iterable[ClipList], classes: tuple[str, ...] | None, source: Path) -> Listing:
    """The clips of all lists whose class is one of `classes`, and how many are of others.

    Args:
        lists: one list a split.
        classes: the class names; None for no labels.
        source: the file that the class names are from.

    Raises:
        ManifestError: naming the entries that cannot be used and why, or if clips have classes but
            none of `classes`.
    """
    index_of_class = {name: index for index, name in enumerate(classes or ())}
    by_id: dict[str, Segment] = {}
    others: Counter[str] = Counter()
    for each in lists:
        for clip in each.clips:
            if not each.problems.check_id(clip.place, clip.id):
                continue
            if clip.id in by_id:
                each.problems.add(clip.place, f"clip {clip.id!r} is listed before")
            index = index_of_class.get(clip.class_name) if clip.class_name else None
            if classes is not None and index is None:
                if clip.class_name:
                    others[clip.class_name] += 1
                    continue
                if each.split != "test":
                    each.problems.add(clip.place, f"wanted a class of clip {clip.id!r}, found none")
            by_id[clip.id] = Segment(
                id=clip.id,
                video_id=clip.id,
                split=each.split,
                labels=() if index is None else (index,),
            )
        each.problems.raise_if_any()
    _tell_others(others, by_id, index_of_class, source)
    return Listing(
        classes=classes or (),
        video_ids=tuple(by_id),
        segments=tuple(by_id.values()),
        left_out=tuple(
            LeftOut(reason=f"class {name!r} is not in {source.name}", count=count)
            for name, count in sorted(others.items())
        ),
    )


def _tell_others(
    others: Counter[str],
    by_id: Mapping[str, Segment],
    index_of_class: Mapping[str, int],
    source: Path,
) -> None:
    if not others:
        return
    if not any(segment.labels for segment in by_id.values()):
        first = next(iter(others))
        raise ManifestError(
            f"{source}: none of the {others.total()} listed clips is of a class in it; the first "
            f"is of {first!r}, the nearest in the file is {nearest(first, index_of_class)!r}"
        )
    logger.warning(
        "%s: %d clips of %d classes are left out, since it does not name their classes",
        *(source, others.total(), len(others)),
    )
