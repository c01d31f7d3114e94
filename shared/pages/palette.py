"""Colours of classes and of activities: the same in pages, pictures and films.

Both were searched for, so that those that are seen together differ, for eyes that lack a kind of
cone too (`tests/shared/pages/test_palette.py` has the distances). Objects are light and carry black
text, activities are dark and carry white text.
"""

Colour = tuple[int, int, int]
"""Red, green and blue, 0..255."""

_CLASSES = bytes.fromhex("""
    00a5ff 96f0ff ffd200 d2e1a5 0fa578 f0a569 5a962d a57896 ff3c1e ff78c3
    8769f0 4bffe1 a5c3ff f0e1a5 ffc3c3 a5b487 c36969 69a596 b4f000 00961e
    c3b400 f04b00 4bf0ff ff5aff e1b4d2 ffe1b4 9687c3 00b4a5 a5c396 d2f069
    b46987 96870f f0a500 ff2d69 ffb4d2 96d2ff 7887b4 4ba5a5 a55af0 5affc3
    a5d296 ffe169 ff9669 ff0078 87a50f e1b4ff a5783c 009678 9678a5 3cc3c3
    a5f0c3 e1f000 e1a596 e15a78 69b400 c3c378 2d87ff ffd2ff 96873c b4b4f0
    96e1d2 0fff00 c387c3 b47869 ffa5b4 ff3c96 0f9696 6978ff c3f0a5 c3b487
    f0873c f0e11e d2c3ff a5781e 69f0e1 e1a5b4 78875a 4b87a5 ff00b4 78c378
""")
_ACTIVITIES = bytes.fromhex("""
    0f7869 0069ff d20fb4 87693c e10000 964b5a 2d7887 8700ff e10087 6969b4
    697800 875a4b
""")


def class_colour(label: int) -> Colour:
    """Return the colour of a class of the detector."""
    return _colour(_CLASSES, label)


def activity_colour(place: int) -> Colour:
    """Return the colour of an activity, by its place among those that are shown together."""
    return _colour(_ACTIVITIES, place)


def text_colour(background: Colour) -> Colour:
    """Return black or white, whichever has more contrast with a colour (WCAG 2.2)."""
    linear = [
        share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4
        for share in (value / 255 for value in background)
    ]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return (0, 0, 0) if luminance > 0.179 else (255, 255, 255)


def css_colour(colour: Colour) -> str:
    """Return a colour as pages write it."""
    return "#{:02x}{:02x}{:02x}".format(*colour)


def _colour(table: bytes, place: int) -> Colour:
    start = 3 * place % len(table)
    red, green, blue = table[start : start + 3]
    return red, green, blue
