"""One renderer of what commands tell."""

from orn.shared.text_summary import Summary, Table


def test_every_part_is_laid_out() -> None:
    rows = [("top1", "0.7750 [0.7260]", "of all"), ("mean", "0.1", "a\x1b[31mb")]
    table = Table(header=("", "two heads", "note"), rows=rows, below=["... and 5 more"])
    facts = [("folder", "/data/tiny"), ("films", "12")]
    summary = Summary(title="tiny, validation", facts=facts, tables=[table], notes=["Chance."])
    assert summary.text().splitlines() == [
        *("tiny, validation", "", "folder  /data/tiny", "films   12", ""),
        "            two heads  note",
        "top1  0.7750 [0.7260]  of all",
        "mean              0.1  a\\x1b[31mb",
        *("... and 5 more", "", "Chance."),
    ]
