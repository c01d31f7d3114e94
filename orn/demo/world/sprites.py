"""Draw random instances of objects.

A sprite is a premultiplied RGBA image, uint8, centered on the object, at its size in the film.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from orn.demo.world.shapes import ANY_HUE, CANVAS_PIXELS, PAINTERS, UNIT_PIXELS, Canvas, paint


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


_RADII = {"scissors": 11.0, "banana": 10.5, "sports ball": 9.5, "apple": 9.5, "bottle": 12.0}
_ARM_PIXELS = 220
"""Side of a hand's image; the arm is half as long."""
_TURNING = {"sports ball", "banana", "scissors", "apple", "cell phone", "mouse", "book"}


def draw_sprite(class_name: str, rng: np.random.Generator) -> Sprite:
    """Draw an object of a class other than `cast.HAND`, with a diameter of 16 to 32 pixels."""
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
