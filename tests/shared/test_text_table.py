"""Plain text tables."""

from orn.shared.text_table import columns, facts, printable


def test_columns_align() -> None:
    rows = [("class", "count", "note"), ("cup", "1,200", "x"), ("refrigerator", "3", "")]
    assert columns(rows).splitlines() == [
        "class         count  note",
        "cup           1,200  x",
        "refrigerator      3",
    ]


def test_no_rows() -> None:
    assert columns([]) == ""


def test_facts_start_in_one_column() -> None:
    assert facts([("videos", "12 there"), ("odd", "0"), ("none", "")]).splitlines() == [
        "videos  12 there",
        "odd     0",
        "none",
    ]
    assert facts([]) == ""


def test_printable_escapes_what_a_terminal_acts_on() -> None:
    assert printable("a\x1b[31mb\n") == "a\\x1b[31mb\\n"
    assert printable("Kü che") == "Kü che"
