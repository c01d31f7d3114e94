"""Reader for the published split files of J-HMDB, HMDB51 and UCF101, which have three splits each.

J-HMDB (Jhuang et al. 2013) and HMDB51 (Kuehne et al. 2011): `CLASS_test_split1.txt`, lines of
`NAME.avi 1`, in which 1 means train, 2 test and 0 unused. UCF101 (Soomro et al. 2012):
`classInd.txt`, lines of `1 ApplyEyeMakeup`; `trainlist01.txt`, lines of
`ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi 1`; and `testlist01.txt`, whose lines have no number.

No validation split is published. A part of the training clips becomes the validation split, by
film: `April_09` in `April_09_brush_hair_u_nm_np1_ba_goo_0`, and `v_Archery_g08` in
`v_Archery_g08_c01`.
"""

import re
from collections import Counter
from collections.abc import Mapping
from functools import partial
from operator import itemgetter
from pathlib import Path

from pydantic import TypeAdapter

from orn.data_manifests.draw_split import assign_groups
from orn.data_manifests.manifest import ActionLabels
from orn.data_manifests.records import Listing, Segment, Split
from orn.data_manifests.text_files import VideoId, checked_class, each_row, read_lines, require_file
from orn.shared.errors import ManifestError

_UNUSED, _TRAIN, _TEST = "0", "1", "2"
_VALIDATION_SHARE = 0.15
_SEED = 0
_SUFFIX = ".avi"
_MOST_CLIPS = 50_000
"""Limit of the number of clips, several times that of UCF101."""
_video_id = TypeAdapter(VideoId).validate_python


def read(spec: ActionLabels, folder: Path, *, labels: bool) -> Listing:
    """Return the listing; a segment is a whole clip and has its id, `CLASS/NAME`.

    Raises:
        DataRootError: if a list is missing.
        ManifestError: if a line is invalid or a clip occurs twice.
    """
    lists = folder / spec.lists_folder
    is_ucf = spec.format == "ucf101"
    classes, number_of = _read_ucf(lists, spec) if is_ucf else _read_hmdb(lists, spec)
    if len(number_of) > _MOST_CLIPS:
        raise ManifestError(
            f"{lists}: expected at most {_MOST_CLIPS:,} clips, got {len(number_of):,}; download "
            "the lists again"
        )
    used = {video_id: number for video_id, number in number_of.items() if number != _UNUSED}
    validation = _validation([video_id for video_id, number in used.items() if number == _TRAIN])
    split_of: dict[str, Split] = {
        video_id: "test" if number == _TEST else "train" for video_id, number in used.items()
    } | dict.fromkeys(validation, "validation")
    label_of = {name: label for label, name in enumerate(classes)}
    segments = tuple(
        Segment(
            id=video_id,
            video_id=video_id,
            split=split,
            labels=(label_of[_class_of(video_id)],) if labels else (),
            group=film_of(video_id),
        )
        for video_id, split in split_of.items()
    )
    num_unused = len(number_of) - len(used)
    return Listing(
        classes=classes if labels else (),
        video_ids=tuple(used),
        segments=segments,
        left_out={f"not in split {spec.split}": num_unused} if num_unused else {},
    )


def film_of(video_id: str) -> str:
    """Return the film from which a clip `CLASS/NAME` was cut."""
    name, _, clip = video_id.partition("/")
    ucf = re.fullmatch(r"(v_.+_g\d+)_c\d+", clip)
    return ucf[1] if ucf else clip.partition(f"_{name}_")[0]


def _validation(train: list[str]) -> list[str]:
    """Return the training clips that become the validation split, whole films."""
    films: dict[str, Counter[str | None]] = {}
    for video_id in train:
        films.setdefault(film_of(video_id), Counter()).update([None, _class_of(video_id)])
    part_of = assign_groups(films, [1 - _VALIDATION_SHARE, _VALIDATION_SHARE], seed=_SEED)
    return [video_id for video_id in train if part_of[film_of(video_id)]]


def _read_hmdb(lists: Path, spec: ActionLabels) -> tuple[tuple[str, ...], Mapping[str, str]]:
    """Return the classes, and the number of each clip in the lists, one for each class."""
    ending = f"_test_split{spec.split}.txt"
    paths = sorted(lists.glob(f"*{ending}"))
    if not paths:
        require_file(lists / f"brush_hair{ending}", "the list of a class in this split")
    number_of: dict[str, str] = {}
    classes = tuple(path.name.removesuffix(ending) for path in paths)

    def clip_of(name: str, line: str) -> tuple[str, str]:
        file, _, number = line.rpartition(" ")
        if number not in (_UNUSED, _TRAIN, _TEST):
            raise ValueError(f"expected NAME{_SUFFIX} and 0, 1 or 2, got {line[:80]!r}")
        return _video_id(f"{name}/{file.strip().removesuffix(_SUFFIX)}"), number

    for name, path in zip(classes, paths, strict=True):
        lines = read_lines(path, "a list of clips")
        number_of |= each_row(path, lines, partial(clip_of, name), id_of=itemgetter(0))
    return classes, number_of


def _read_ucf(lists: Path, spec: ActionLabels) -> tuple[tuple[str, ...], Mapping[str, str]]:
    """Return the classes, and the number of each clip in the lists of UCF101."""
    path = lists / "classInd.txt"
    lines = read_lines(path, "numbers and classes")

    def name_of(line: str) -> str:
        return checked_class(line.partition(" ")[2].strip())

    classes = each_row(path, lines, name_of, id_of=str)
    number_of: dict[str, str] = {}

    def clip_of(line: str) -> str:
        video_id = _video_id(line.partition(" ")[0].removesuffix(_SUFFIX))
        if _class_of(video_id) not in classes:
            raise ValueError(f"expected CLASS/NAME{_SUFFIX}, got {line[:80]!r}")
        return video_id

    for part, number in (("train", _TRAIN), ("test", _TEST)):
        path = lists / f"{part}list0{spec.split}.txt"
        lines = read_lines(path, "a list of clips")
        clips = each_row(path, lines, clip_of, id_of=str, used=number_of)
        number_of |= dict.fromkeys(clips, number)
    return tuple(classes), number_of


def _class_of(video_id: str) -> str:
    return video_id.partition("/")[0]
