"""The digest of a video's objects is that of their content, not of the order of their rows."""

from itertools import permutations
from pathlib import Path

from orn.shared.errors import ObjectImportError
from orn.stage1_detect.imports.object_table import ObjectTable
from orn.stage1_detect.imports.source_objects import SourceObject, SourceRecord

CUP = SourceObject(name="cup", score=0.5, box=(0, 1, 2.5, 3), track=7)
POT = SourceObject(name="pot", box=None, mask=b"0123", is_crowd=True)
BROKEN = ObjectImportError("x1: expected a number, got 'a'", where="line 3")
RECORDS = (
    SourceRecord(video_id="a", frame=0, content=CUP),
    SourceRecord(video_id="a", frame=0, content=POT),
    SourceRecord(video_id="a", frame=1, content=BROKEN),
    SourceRecord(video_id="a", frame=2),
)


def digest(folder: Path, *records: SourceRecord) -> str | None:
    table = ObjectTable(folder / "objects.sqlite")
    table.add(folder / "objects.csv", records, first=0, rate=None)
    (video,) = table.finish()
    (folder / "objects.sqlite").unlink()
    return video.digest


def test_the_order_of_rows_does_not_change_the_digest_of_a_video(tmp_path: Path) -> None:
    assert len({digest(tmp_path, *records) for records in permutations(RECORDS)}) == 1
    moved = SourceRecord(
        video_id="a", frame=1, content=ObjectImportError(BROKEN.reason, where="line 9")
    )
    assert digest(tmp_path, *RECORDS[:2], moved, RECORDS[3]) == digest(tmp_path, *RECORDS)


def test_any_other_content_changes_the_digest_of_a_video(tmp_path: Path) -> None:
    changed = [
        RECORDS,
        RECORDS[1:],
        RECORDS[:3],
        (*RECORDS, RECORDS[0]),
        (SourceRecord(video_id="a", frame=0, grid=(4, 5), content=CUP), *RECORDS[1:]),
        (SourceRecord(video_id="a", frame=1, content=CUP), *RECORDS[1:]),
    ]
    for field in (
        *({"name": "pot"}, {"score": 0.25}, {"box": (0, 1, 2, 3)}, {"track": 8}),
        *({"is_crowd": True}, {"mask": b"0"}),
    ):
        one = SourceObject(**{"name": "cup", "score": 0.5, "box": CUP.box, "track": 7, **field})
        changed.append((SourceRecord(video_id="a", frame=0, content=one), *RECORDS[1:]))
    assert len({digest(tmp_path, *records) for records in changed}) == len(changed)
