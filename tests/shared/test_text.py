"""Text that is safe on a terminal and in spreadsheets."""

from orn.shared.text import escape, escape_lines, utf8


def test_printable_escapes_what_a_terminal_acts_on() -> None:
    assert escape("a\x1b[31mb\n") == "a\\x1b[31mb\\n"
    assert escape("Kü che") == "Kü che"
    assert escape("\x9b1m\udcff") == "\\x9b1m\\udcff"
    assert escape_lines("a\x1b[2J\nb") == "a\\x1b[2J\nb"


def test_a_name_that_is_not_utf8_becomes_text() -> None:
    assert utf8("ü/\udcff.mp4") == "ü/\\udcff.mp4"
