"""Colours of classes and of activities: the same in pages, pictures and films.

Both were searched for, so that those that are seen together differ, for eyes that lack a kind of
cone too (`tests/shared/pages/test_palette.py` has the distances). Objects are light and carry black
text, activities are dark and carry white text.
"""

Colour = tuple[int, int, int]
"""Red, green and blue, 0..255."""

_CLASSES = bytes.fromhex("""
    d2d2ff 87f0c3 d2a587 ffe187 2db4b4 4b87a5 b47887 96d20f 96875a 9669ff
    e1690f 00ffe1 f0a596 f0e196 ff0fb4 e196ff b46987 4b87b4 87a55a b4f00f
    0fd200 96870f 78b4a5 d2c378 00ffb4 b4a5f0 e14b78 0087ff b469b4 ffb4d2
    ff9600 78873c 00c3b4 e1f000 c3b487 c3f096 a5b4ff ff1e1e 8787b4 ff0f96
    e1b400 c35aff 87e1d2 00962d b47869 a5a569 ffe1b4 c3f069 96b4e1 ff78a5
    f03c0f e1a51e 00e1d2 6978e1 9678a5 2da587 c3c387 b4f0c3 c396ff ffe10f
    a5781e ff870f 78875a e11eff 69c3d2 c387a5 009687 3cff96 87c378 ffc3c3
    e1e13c e1960f ff003c 3c78ff 87875a ff69c3 00b4ff 2d9696 87b487 a5f0f0
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
