"""Text that is safe on a terminal."""

from orn.shared.text import counted, printable, printable_lines, utf8


def test_printable_escapes_what_a_terminal_acts_on() -> None:
    assert printable("a\x1b[31mb\n") == "a\\x1b[31mb\\n"
    assert printable("Kü che") == "Kü che"
    assert printable("\x9b1m\udcff") == "\\x9b1m\\udcff"
    assert printable_lines("a\x1b[2J\nb") == "a\\x1b[2J\nb"


def test_a_name_that_is_not_utf8_becomes_text() -> None:
    assert utf8("ü/\udcff.mp4") == "ü/\\udcff.mp4"


def test_counts_agree_with_what_is_counted() -> None:
    assert [counted(number, "video") for number in (0, 1, 1200)] == [
        "0 videos",
        "1 video",
        "1,200 videos",
    ]
    assert counted(2, "class", "classes") == "2 classes"
