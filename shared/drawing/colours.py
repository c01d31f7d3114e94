"""One colour for each class of the detector: the same in every picture, film and page."""

import colorsys

Colour = tuple[int, int, int]
"""Red, green and blue, 0..255."""

_TURN = 0.381966
"""Golden section of the colour circle: the colours of neighbouring classes lie far apart, and no
two of 80 have the same hue."""
_SHADES = ((0.55, 0.85), (0.42, 0.65), (0.70, 0.75))
"""Lightness and saturation, in turn, so that classes of similar hue differ in these."""


def class_colour(label: int) -> Colour:
    """The colour of a class, by its number alone."""
    lightness, saturation = _SHADES[label % len(_SHADES)]
    red, green, blue = colorsys.hls_to_rgb((label * _TURN) % 1, lightness, saturation)
    return round(red * 255), round(green * 255), round(blue * 255)


def text_colour(background: Colour) -> Colour:
    """Black or white, whichever has more contrast with a colour (WCAG 2.2, relative luminance)."""
    linear = [
        share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4
        for share in (value / 255 for value in background)
    ]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return (0, 0, 0) if luminance > 0.179 else (255, 255, 255)


def css_colour(colour: Colour) -> str:
    """A colour as pages write it."""
    return "#{:02x}{:02x}{:02x}".format(*colour)
