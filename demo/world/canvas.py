"""A small RGBA picture to draw one object on, and its colours.

Shapes are drawn in units of the object's radius, y downwards. They are drawn with smooth edges on
black, so the colours come out multiplied by alpha.
"""

from __future__ import annotations

import itertools

import cv2
import numpy as np

CANVAS_PIXELS = 160
UNIT_PIXELS = 60
_FIXED_POINT = 4

Colour = tuple[float, float, float]


class Canvas:
    """An RGBA picture in which polygons, ellipses and lines are drawn in units of the radius."""

    def __init__(self) -> None:
        self.rgb = np.zeros((CANVAS_PIXELS, CANVAS_PIXELS, 3), np.uint8)
        self.alpha = np.zeros((CANVAS_PIXELS, CANVAS_PIXELS), np.uint8)

    @staticmethod
    def _fixed(points: np.ndarray) -> np.ndarray:
        pixels = CANVAS_PIXELS / 2 + np.asarray(points, float) * UNIT_PIXELS
        return np.round(pixels * 2**_FIXED_POINT).astype(np.int32)

    def polygon(self, points: np.ndarray, colour: Colour, *, inside: bool = False) -> None:
        """Fill a polygon; with `inside` only where something is drawn already."""
        fixed = [self._fixed(points)]
        rgb = self.rgb.copy() if inside else self.rgb
        cv2.fillPoly(rgb, fixed, np.clip(colour, 0, 255).tolist(), cv2.LINE_AA, _FIXED_POINT)
        if inside:
            cv2.copyTo(rgb, self.alpha, self.rgb)
        else:
            cv2.fillPoly(self.alpha, fixed, 255, cv2.LINE_AA, _FIXED_POINT)

    def ellipse(
        self, centre: tuple[float, float], axes: tuple[float, float], colour: Colour, **kw: bool
    ) -> None:
        angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
        points = np.stack([np.cos(angle) * axes[0], np.sin(angle) * axes[1]], axis=1)
        self.polygon(points + np.array(centre), colour, **kw)

    def line(self, points: np.ndarray, width: float, colour: Colour, **kw: bool) -> None:
        """A band along a polyline, with round ends."""
        points = np.asarray(points, float)
        for start, stop in itertools.pairwise(points):
            along = (stop - start) / max(float(np.hypot(*(stop - start))), 1e-6)
            across = np.array([-along[1], along[0]]) * width / 2
            quad = np.stack([start + across, stop + across, stop - across, start - across])
            self.polygon(quad, colour, **kw)
        for point in points:
            self.ellipse((point[0], point[1]), (width / 2, width / 2), colour, **kw)


def hsv(hue: float, saturation: float, value: float) -> Colour:
    """RGB, 0 to 255, of a hue (in turns), saturation and value (clipped to [0, 1])."""
    saturation, value = np.clip((saturation, value), 0, 1) * 255
    pixel = np.array([[[hue * 180 % 180, saturation, value]]]).astype(np.uint8)
    red, green, blue = cv2.cvtColor(pixel, cv2.COLOR_HSV2RGB)[0, 0].tolist()
    return (red, green, blue)


def shade(colour: Colour, factor: float) -> Colour:
    """A darker (or, above 1, lighter) colour."""
    return (colour[0] * factor, colour[1] * factor, colour[2] * factor)


def paint(
    rng: np.random.Generator, hues: tuple[float, ...], saturation: float, value: float
) -> Colour:
    """A colour near one of some hues."""
    return hsv(
        float(rng.choice(hues)) + rng.normal(0, 0.02),
        saturation + rng.normal(0, 0.1),
        value + rng.normal(0, 0.07),
    )


def rotated(points: np.ndarray, angle: float) -> np.ndarray:
    """(n, 2) points turned about the centre, radians, clockwise on the screen."""
    cos, sin = np.cos(angle), np.sin(angle)
    return points @ np.array([[cos, sin], [-sin, cos]])
