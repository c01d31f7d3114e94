"""Colors of classes and activities in pages, pictures and videos.

The palettes maximize the distances between colors, including for color-blind viewers
(`tests/shared/pages/test_palette.py`). Objects are light with black text, activities are dark with
white text.
"""

Color = tuple[int, int, int]
"""Red, green and blue, 0..255."""

_CLASSES = bytes.fromhex("""
    00a5ff b4c3f0 ff00c3 879669 ffe1b4 968700 96c32d a5f0f0 ffb4c3 3cff0f
    3ca596 c3b4ff 6978ff ff0f78 e1e1b4 b478b4 a5781e e19669 a5a500 ffd200
    69d2c3 a5c3ff 3c87ff ffd2f0 f05a87 b4c396 a596c3 009687 b4f087 96874b
    f0a53c 4bffc3 ff3c1e b45ad2 ffc3ff 96c3a5 c36987 4ba5a5 d2f069 87875a
    d2b40f 87a55a f04b00 2dffe1 6987b4 a5d2ff 0fd287 e17896 b44bff d2f096
    009669 d2d20f b49600 d25a4b 9678a5 a5f0ff ffc3c3 a5a5d2 7878e1 c3f0a5
    ff7896 0fb496 f0e100 009600 c35aa5 96965a 69f0ff e1a50f 8769f0 c3a5d2
    c3e1b4 4bd25a 5aa587 e1f000 a57896 ffe187 1efff0 879600 d26969 ff5af0
""")
_ACTIVITIES = bytes.fromhex("""
    0f7869 0069ff d20fb4 87693c e10000 964b5a 2d7887 8700ff e10087 6969b4
    697800 875a4b
""")


def class_color(label: int) -> Color:
    """Return the color of a detector class."""
    return _color(_CLASSES, label)


def activity_color(index: int) -> Color:
    """Return the color of an activity by its index among the activities of a page."""
    return _color(_ACTIVITIES, index)


def text_color(background: Color) -> Color:
    """Return black or white, whichever has the higher contrast (WCAG 2.2)."""
    linear = [
        share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4
        for share in (value / 255 for value in background)
    ]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return (0, 0, 0) if luminance > 0.179 else (255, 255, 255)


def css_color(color: Color) -> str:
    """Return a color in CSS notation."""
    return "#{:02x}{:02x}{:02x}".format(*color)


def _color(table: bytes, index: int) -> Color:
    start = 3 * index % len(table)
    red, green, blue = table[start : start + 3]
    return red, green, blue
