"""Draw random instances of objects.

Shapes are drawn in units of the object's radius, y downwards, anti-aliased on black, so that
colors are premultiplied by alpha. Containers have a front and a back, so that another object can
be between them. A sprite is a premultiplied RGBA image, uint8, centered on the object, at its size
in the film.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike

CANVAS_PIXELS = 160
UNIT_PIXELS = 60
_FIXED_POINT = 4
_RADII = {"apple": 9.5, "bottle": 12.0}
_ARM_PIXELS = 220
"""Side of a hand's image; the arm is half as long."""
_TURNING = {"apple", "cell phone", "book"}

Color = tuple[float, float, float]


class Canvas:
    """An RGBA image for polygons, ellipses and lines in units of the object's radius."""

    def __init__(self) -> None:
        self.rgb = np.zeros((CANVAS_PIXELS, CANVAS_PIXELS, 3), np.uint8)
        self.alpha = np.zeros((CANVAS_PIXELS, CANVAS_PIXELS), np.uint8)

    @staticmethod
    def _fixed(points: ArrayLike) -> np.ndarray:
        pixels = CANVAS_PIXELS / 2 + np.asarray(points, float) * UNIT_PIXELS
        return np.round(pixels * 2**_FIXED_POINT).astype(np.int32)

    def polygon(self, points: ArrayLike, color: Color, *, inside: bool = False) -> None:
        """Fill a polygon; with `inside`, only where something is already drawn."""
        fixed = [self._fixed(points)]
        rgb = self.rgb.copy() if inside else self.rgb
        cv2.fillPoly(rgb, fixed, np.clip(color, 0, 255).tolist(), cv2.LINE_AA, _FIXED_POINT)
        if inside:
            cv2.copyTo(rgb, self.alpha, self.rgb)
        else:
            cv2.fillPoly(self.alpha, fixed, 255, cv2.LINE_AA, _FIXED_POINT)

    def ellipse(
        self, center: tuple[float, float], axes: tuple[float, float], color: Color, **kw: bool
    ) -> None:
        angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
        self.polygon(_arc(angle, center, axes), color, **kw)

    def line(self, points: ArrayLike, width: float, color: Color, **kw: bool) -> None:
        """Draw a polyline with round ends."""
        points_N2 = np.asarray(points, float)
        for start, stop in itertools.pairwise(points_N2):
            along = (stop - start) / max(float(np.hypot(*(stop - start))), 1e-6)
            across = np.array([-along[1], along[0]]) * width / 2
            quad = np.stack([start + across, stop + across, stop - across, start - across])
            self.polygon(quad, color, **kw)
        for point in points_N2:
            self.ellipse((point[0], point[1]), (width / 2, width / 2), color, **kw)


def _arc(angle: np.ndarray, center: tuple[float, float], axes: tuple[float, float]) -> np.ndarray:
    return np.stack(
        [center[0] + axes[0] * np.cos(angle), center[1] + axes[1] * np.sin(angle)], axis=1
    )


def hsv(hue: float, saturation: float, value: float) -> Color:
    """Return RGB, 0..255, of a hue (1 is a full turn), saturation and value (clipped to [0, 1])."""
    saturation, value = np.clip((saturation, value), 0, 1) * 255
    pixel = np.array([[[hue * 180 % 180, saturation, value]]]).astype(np.uint8)
    red, green, blue = cv2.cvtColor(pixel, cv2.COLOR_HSV2RGB)[0, 0].tolist()
    return (red, green, blue)


def shade(color: Color, factor: float) -> Color:
    """Return a darker color, or a lighter one if the factor is above 1."""
    return (color[0] * factor, color[1] * factor, color[2] * factor)


def paint(
    rng: np.random.Generator, hues: tuple[float, ...], saturation: float, value: float
) -> Color:
    """Return a random color near one of some hues."""
    return hsv(
        float(rng.choice(hues)) + rng.normal(0, 0.02),
        saturation + rng.normal(0, 0.1),
        value + rng.normal(0, 0.07),
    )


ANY_HUE = tuple(np.linspace(0, 1, 12, endpoint=False).tolist())


def _bowl(rng: np.random.Generator, front: Canvas, back: Canvas) -> None:
    color = paint(rng, ANY_HUE, 0.4, 0.8)
    rim = rng.uniform(0.36, 0.46)
    back.ellipse((0, -0.3), (1.2, rim), shade(color, 0.45))
    angle = np.linspace(0, np.pi, 24)
    lip = _arc(angle, (0, -0.3), (1.2, rim))
    belly = np.stack([1.2 * np.cos(angle), -0.3 + 1.1 * np.sin(angle) ** 0.8], axis=1)
    front.polygon(np.concatenate([lip, belly[::-1]]), color)
    front.line(lip, 0.09, shade(color, 1.15))


def _cup(rng: np.random.Generator, front: Canvas, back: Canvas) -> None:
    color = paint(rng, ANY_HUE, 0.75, 0.8)
    side = float(rng.choice((-1, 1)))
    loop = _arc(np.linspace(-1.4, 1.4, 9), (0.62 * side, 0.12), (0.42 * side, 0.42))
    front.line(loop, 0.17, shade(color, 0.75))
    back.ellipse((0, -0.72), (0.72, 0.28), shade(color, 0.4))
    angle = np.linspace(0, np.pi, 16)
    lip = _arc(angle, (0, -0.72), (0.72, 0.28))
    base = _arc(angle, (0, 0.78), (0.6, 0.2))
    front.polygon(np.concatenate([lip, base[::-1]]), color)
    front.line([[-0.66, 0.2], [0.66, 0.2]], 0.18, shade(color, 0.6), inside=True)


def _vase(rng: np.random.Generator, front: Canvas, back: Canvas) -> None:
    color = paint(rng, (0.55, 0.6, 0.78, 0.45), 0.65, 0.65)
    y = np.linspace(-1.05, 1.15, 18)
    neck = rng.uniform(0.3, 0.42)
    width = (
        neck + 0.55 * np.exp(-(((y - 0.45) / 0.5) ** 2)) + 0.18 * np.exp(-(((y + 1.1) / 0.2) ** 2))
    )
    back.ellipse((0, -1.05), (float(width[0]), 0.17), shade(color, 0.35))
    outline = np.concatenate([np.stack([-width, y], 1), np.stack([width, y], 1)[::-1]])
    front.polygon(outline, color)
    front.line([[-1.0, 0.4], [1.0, 0.4]], 0.16, paint(rng, ANY_HUE, 0.5, 0.95), inside=True)


def _apple(rng: np.random.Generator, front: Canvas, back: Canvas) -> None:
    color = paint(rng, (0.0, 0.98, 0.3), 0.9, 0.75)
    front.ellipse((-0.28, 0.05), (0.6, 0.75), color)
    front.ellipse((0.28, 0.05), (0.6, 0.75), color)
    front.line([[0, -0.5], [0.12, -0.95]], 0.13, (80, 50, 20))
    front.ellipse((0.4, -0.82), (0.3, 0.14), (50, 140, 40))
    front.ellipse((-0.4, -0.2), (0.16, 0.2), shade(color, 1.3), inside=True)


def _cell_phone(rng: np.random.Generator, front: Canvas, back: Canvas) -> None:
    case = paint(rng, ANY_HUE, 0.3, rng.uniform(0.15, 0.5))
    half = np.array([0.55, 1.05])
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * half
    front.polygon(corners, case)
    front.polygon(corners * [0.84, 0.84], hsv(rng.uniform(0.5, 0.65), 0.5, rng.uniform(0.6, 0.95)))
    for row in np.linspace(-0.6, 0.5, 4):
        front.line([[-0.3, row], [0.3, row]], 0.08, (240, 240, 245), inside=True)


def _book(rng: np.random.Generator, front: Canvas, back: Canvas) -> None:
    cover = paint(rng, ANY_HUE, 0.7, 0.6)
    front.polygon([[-0.85, -1.0], [0.85, -1.0], [0.85, 1.0], [-0.85, 1.0]], (235, 228, 210))
    front.polygon([[-0.85, -1.05], [0.72, -1.05], [0.72, 0.9], [-0.85, 0.9]], cover)
    front.line([[-0.66, -1.0], [-0.66, 0.85]], 0.1, shade(cover, 0.6))
    front.polygon([[-0.4, -0.7], [0.5, -0.7], [0.5, -0.25], [-0.4, -0.25]], (240, 235, 220))


def _bottle(rng: np.random.Generator, front: Canvas, back: Canvas) -> None:
    glass = paint(rng, (0.33, 0.3, 0.08, 0.55), 0.75, 0.5)
    body = [[-0.42, -0.2], [-0.17, -0.65], [-0.17, -1.1], [0.17, -1.1], [0.17, -0.65]]
    front.polygon(np.concatenate([body, [[0.42, -0.2], [0.42, 1.2], [-0.42, 1.2]]]), glass)
    front.polygon([[-0.42, 0.1], [0.42, 0.1], [0.42, 0.75], [-0.42, 0.75]], (235, 230, 215))
    front.polygon([[-0.2, -1.3], [0.2, -1.3], [0.2, -1.05], [-0.2, -1.05]], (200, 40, 40))


def _arm(rng: np.random.Generator, front: Canvas, back: Canvas) -> None:
    """Draw a hand at the center whose arm leaves the canvas downwards (see `hand_sprite`)."""
    skin = hsv(0.06 + rng.normal(0, 0.008), rng.uniform(0.35, 0.6), rng.uniform(0.5, 0.92))
    front.line([[0.0, 0.3], [0.0, 1.4]], 0.5, skin)
    front.ellipse((0, 0.2), (0.45, 0.45), skin)
    for spread in (-0.5, -0.17, 0.17, 0.5):
        front.line(
            np.array([[spread * 0.6, 0.1], [spread * 0.8, -0.5 + 0.25 * abs(spread)]]), 0.19, skin
        )
    front.line([[-0.35, 0.25], [-0.65, -0.1]], 0.2, skin)


PAINTERS: dict[str, Callable[[np.random.Generator, Canvas, Canvas], None]] = {
    "bowl": _bowl, "cup": _cup, "vase": _vase, "bottle": _bottle, "apple": _apple,
    "cell phone": _cell_phone, "book": _book, "person": _arm,
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Sprite:
    """The drawing of an object."""

    front: np.ndarray
    """(h, w, 4) uint8 RGBA, premultiplied."""
    back: np.ndarray | None
    """(h, w, 4) the part of a container behind its content; None for other objects."""
    radius: float
    """Radius in pixels for motion planning; 0 for a hand, which has no shadow and which other
    objects need not avoid."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """An object in a film and its position in every frame."""

    class_name: str
    sprite: Sprite
    position_F2: np.ndarray
    """(F, 2) x and y of the center in pixels of the table (without camera drift)."""
    depth_F: np.ndarray
    """(F,) objects with a larger depth hide objects with a smaller one."""
    lift_F: np.ndarray | None = None
    """(F,) 0 on the table, 1 held up; None for always on the table."""


def draw_sprite(class_name: str, rng: np.random.Generator) -> Sprite:
    """Draw an object of a class other than `person`, with a diameter of 16 to 32 pixels."""
    radius = _RADII.get(class_name, 11.5) * rng.uniform(0.85, 1.2)
    front, back = Canvas(), Canvas()
    PAINTERS[class_name](rng, front, back)
    angle = rng.uniform(0, 2 * np.pi) if class_name in _TURNING else rng.normal(0, 0.06)
    stretch = rng.uniform(0.88, 1.12)
    texture = _texture(rng)
    return Sprite(
        front=_finish(front, texture, radius=radius, angle=angle, stretch=stretch),
        back=_finish(back, texture, radius=radius, angle=angle, stretch=stretch)
        if back.alpha.any()
        else None,
        radius=radius,
    )


def hand_sprite(rng: np.random.Generator, *, angle: float) -> Sprite:
    """Draw an arm with its hand at the center of a large square image.

    Args:
        rng: random generator of the film.
        angle: direction of the arm in radians, 0 to the right, clockwise.
    """
    length = _ARM_PIXELS
    canvas = Canvas()
    PAINTERS["person"](rng, canvas, Canvas())
    hand = _finish(
        canvas, _texture(rng), radius=15.0 * rng.uniform(0.85, 1.1), angle=0.0, stretch=1.0
    )
    size = len(hand)
    row = hand[int(0.8 * size)].copy()
    whole = np.zeros((length, length, 4), np.uint8)
    top = length // 2 - size // 2
    whole[top : top + int(0.8 * size), top : top + size] = hand[: int(0.8 * size)]
    sleeve = row.copy()
    tint = paint(rng, ANY_HUE, 0.6, 0.6)
    sleeve[:, :3] = (np.array(tint) * (row[:, 3:] / 255.0)).astype(np.uint8)
    elbow = top + int(0.8 * size) + int(rng.uniform(14, 26))
    whole[top + int(0.8 * size) : elbow, top : top + size] = row
    whole[elbow:, top : top + size] = sleeve
    middle = (length / 2, length / 2)
    turn = cv2.getRotationMatrix2D(middle, 90.0 - np.degrees(angle), 1.0)
    drawing = cv2.warpAffine(whole, turn, (length, length), flags=cv2.INTER_LINEAR)
    return Sprite(front=drawing, back=None, radius=0.0)


def _texture(rng: np.random.Generator) -> np.ndarray:
    """Return brightness factors of a canvas: shading, blotches, and stripes in some cases."""
    coarse = rng.normal(1.0, 0.08, (10, 10)).astype(np.float32)
    factor = cv2.resize(coarse, (CANVAS_PIXELS, CANVAS_PIXELS), interpolation=cv2.INTER_CUBIC)
    y, x = np.mgrid[-1 : 1 : CANVAS_PIXELS * 1j, -1 : 1 : CANVAS_PIXELS * 1j]
    direction = rng.uniform(0, 2 * np.pi)
    factor = factor * (1 + 0.22 * (x * np.cos(direction) + y * np.sin(direction)))
    if rng.random() < 0.4:
        wave = np.sin((x * np.cos(direction) - y * np.sin(direction)) * rng.uniform(10, 22))
        factor = factor * (1 + rng.uniform(0.06, 0.18) * np.sign(wave))
    return factor[..., None]


def _finish(
    canvas: Canvas, texture: np.ndarray, *, radius: float, angle: float, stretch: float
) -> np.ndarray:
    """Apply the texture to a canvas, rotate and stretch it, and scale it to its final size."""
    rgb = np.clip(canvas.rgb * texture, 0, 255)  # drawn on black, so already premultiplied
    picture = np.dstack([rgb, canvas.alpha]).astype(np.float32)
    factor = radius / UNIT_PIXELS
    size = int(np.ceil(1.45 * UNIT_PIXELS * 2 * factor * 1.15)) | 1
    cos, sin = np.cos(angle), np.sin(angle)
    linear = factor * np.array([[cos * stretch, -sin], [sin * stretch, cos]])
    shift = np.full(2, size / 2) - linear @ np.full(2, CANVAS_PIXELS / 2)
    blurred = cv2.GaussianBlur(picture, (0, 0), 0.35 / factor)
    scaled = cv2.warpAffine(
        blurred, np.column_stack([linear, shift]), (size, size), flags=cv2.INTER_LINEAR
    )
    return np.clip(scaled, 0, 255).astype(np.uint8)
