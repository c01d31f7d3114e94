"""One renderer of what commands tell."""

from orn.shared.text_summary import Summary, Table

FIGURES = Table(
    header=("", "two heads", "note"),
    rows=[
        ("top1", "0.7750 [0.7260, 0.8150]", "of all of the segments that there are"),
        ("mean", "0.1", "a\x1b[31mb"),
    ],
    below=["... and 5 more"],
)
REPORT = Summary(
    title="tiny, validation: 4 segments of the films that were drawn for it",
    facts=[("folder", "/data/tiny"), ("videos", "12 of them are there, and none is missing")],
    tables=[FIGURES],
    notes=["Chance is 0.5 for every one of these four segments."],
)


def test_every_part_is_laid_out() -> None:
    assert REPORT.text().splitlines() == [
        "tiny, validation: 4 segments of the films that were drawn for it",
        "",
        "folder  /data/tiny",
        "videos  12 of them are there, and none is missing",
        "",
        "                    two heads  note",
        "top1  0.7750 [0.7260, 0.8150]  of all of the segments that there are",
        "mean                      0.1  a\\x1b[31mb",
        "... and 5 more",
        "",
        "Chance is 0.5 for every one of these four segments.",
    ]
