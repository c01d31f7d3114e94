"""Render a planned film: images, and the visible mask of each object.

The camera drifts, the lamp may be switched, and the sensor adds noise. Axes: F frames, H W pixels.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from orn.demo.scene import HEIGHT, WIDTH, Scene
from orn.demo.sprites import Actor

_BORDER = 12
_CAMERA_PIXELS = 3.0
"""Maximum drift of the camera."""
_NOISE = 5.0
"""Standard deviation of the sensor noise in gray levels."""
_NO_TRACK = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderedFrame:
    """An image and the objects in it."""

    image: np.ndarray
    """(H, W, 3) uint8 RGB."""
    track_HW: np.ndarray
    """(H, W) uint8, the track visible at each pixel, 255 for the table."""


def render(scene: Scene) -> Iterator[RenderedFrame]:
    """Yield the frames of a scene."""
    rng = np.random.default_rng(scene.render_seed)
    table = draw_table(rng, height=HEIGHT + 2 * _BORDER, width=WIDTH + 2 * _BORDER)
    num_frames = len(scene.lamp_F)
    drift_F2 = _drift(num_frames, _CAMERA_PIXELS, rng)
    light_F3 = _light(num_frames, rng)
    dark_HW3, lit_HW3 = _lamp(rng)
    noise = rng.normal(0.0, _NOISE, (HEIGHT + 64, WIDTH + 64, 3)).astype(np.float32)
    layers = [_layers(actor) for actor in scene.actors]
    for frame in range(num_frames):
        image = _background(table, drift_F2[frame])
        track_HW = np.full((HEIGHT, WIDTH), _NO_TRACK, np.uint8)
        painted = [
            (float(actor.depth_F[frame]) + nearer, track, layer)
            for track, actor in enumerate(scene.actors)
            for nearer, layer in layers[track]
        ]
        for _, track, layer in sorted(painted, key=lambda layer: layer[0]):
            _paint(image, track_HW, layer, scene.actors[track], track, frame, drift_F2)
        y, x = rng.integers(0, 64, 2)
        lamp_HW3 = lit_HW3 if scene.lamp_F[frame] else dark_HW3
        lit = image * light_F3[frame] * lamp_HW3 + noise[y : y + HEIGHT, x : x + WIDTH]
        yield RenderedFrame(image=np.clip(lit, 0, 255).astype(np.uint8), track_HW=track_HW)


def _drift(num_frames: int, pixels: float, rng: np.random.Generator) -> np.ndarray:
    """Return (F, 2) smooth camera offsets of at most `pixels`."""
    time_F = np.linspace(0.0, 1.0, num_frames)[:, None]
    phase_2, speed_2 = rng.uniform(0, 2 * np.pi, 2), rng.uniform(0.5, 3.0, 2)
    return pixels * np.sin(phase_2 + speed_2 * time_F * np.pi)


def _light(num_frames: int, rng: np.random.Generator) -> np.ndarray:
    """Return (F, 3) factors of the color channels over time."""
    time_F = np.linspace(0.0, 1.0, num_frames)[:, None]
    level = rng.uniform(0.85, 1.1) + rng.uniform(-0.05, 0.05) * time_F
    flicker = 0.02 * np.sin(rng.uniform(0, 6) + rng.uniform(2, 12) * time_F)
    return (level + flicker) * rng.normal(1.0, 0.05, 3)


def _lamp(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return (H, W, 3) float32 factors of the color channels while the lamp is off and on: a warm
    pool of light around a random place near the upper edge."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    center = rng.uniform((0.15 * WIDTH, -0.1 * HEIGHT), (0.85 * WIDTH, 0.3 * HEIGHT))
    glow = np.exp(-((x - center[0]) ** 2 + (y - center[1]) ** 2) / (0.75 * WIDTH) ** 2)
    dark_3 = np.array([0.72, 0.76, 0.86], np.float32)
    warm_3 = np.array([0.55, 0.46, 0.24], np.float32)
    return np.broadcast_to(dark_3, (HEIGHT, WIDTH, 3)), dark_3 + glow[..., None] * warm_3


def _background(table: np.ndarray, drift_2: np.ndarray) -> np.ndarray:
    shift = np.array([[1, 0, drift_2[0] - _BORDER], [0, 1, drift_2[1] - _BORDER]], np.float64)
    return cv2.warpAffine(table, shift, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR)


def _layers(actor: Actor) -> list[tuple[float, np.ndarray]]:
    """Return the depth offset and the drawing (float32 premultiplied RGBA) of an actor's back, if
    it has one, and front."""
    sides = (actor.sprite.back, actor.sprite.front)
    drawings = [side.astype(np.float32) for side in sides if side is not None]
    return [(float(index), drawing) for index, drawing in enumerate(drawings)]


def _paint(
    image: np.ndarray,
    track_HW: np.ndarray,
    layer: np.ndarray,
    actor: Actor,
    track: int,
    frame: int,
    drift_F2: np.ndarray,
) -> None:
    """Paint a layer and its shadow, in place."""
    lift = 0.0 if actor.lift_F is None else float(actor.lift_F[frame])
    zoom = 1.0 + 0.25 * lift
    center = actor.position_F2[frame] + drift_F2[frame]
    half = zoom * layer.shape[0] / 2
    if actor.sprite.radius > 0:
        _shadow(image, center + np.array([2.0, 4.0]) * (1 + 2.5 * lift), actor.sprite.radius)
    x0, y0, x1, y1 = _window(center, half)
    if x1 <= x0 or y1 <= y0:
        return
    offset = (center[0] - half - x0, center[1] - half - y0)
    placed = np.array([[zoom, 0, offset[0]], [0, zoom, offset[1]]], np.float64)
    patch = cv2.warpAffine(layer, placed, (x1 - x0, y1 - y0), flags=cv2.INTER_LINEAR)
    alpha = patch[..., 3:] * (1 / 255.0)
    region = image[y0:y1, x0:x1]
    region *= 1.0 - alpha
    region += patch[..., :3]
    track_HW[y0:y1, x0:x1][alpha[..., 0] > 0.5] = track


def _shadow(image: np.ndarray, center: np.ndarray, radius: float) -> None:
    """Darken a soft ellipse, in place."""
    x0, y0, x1, y1 = _window(center, 1.3 * radius)
    if x1 <= x0 or y1 <= y0:
        return
    x = (np.arange(x0, x1, dtype=np.float32) - center[0]) / radius
    y = (np.arange(y0, y1, dtype=np.float32) - center[1]) / (0.8 * radius)
    depth = 0.35 * np.exp(-1.2 * (x[None] ** 2 + y[:, None] ** 2) ** 2)
    image[y0:y1, x0:x1] *= (1.0 - depth)[..., None].astype(np.float32)


def _window(center: np.ndarray, half: float) -> tuple[int, int, int, int]:
    """Return x1 y1 x2 y2 of a square clipped to the image."""
    x0, y0 = max(int(center[0] - half), 0), max(int(center[1] - half), 0)
    return x0, y0, min(int(center[0] + half) + 1, WIDTH), min(int(center[1] + half) + 1, HEIGHT)


def draw_table(rng: np.random.Generator, *, height: int, width: int) -> np.ndarray:
    """Return a (height, width, 3) float32 image of a random table top, 0..255."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    base = rng.uniform(85, 190) + rng.normal(0, 18, 3)
    patterns = (_wood, _tiles, _cloth, lambda x, y, rng: np.zeros_like(x))
    pattern = patterns[rng.integers(len(patterns))](x, y, rng)
    for cells, strength in ((6, 16.0), (24, 8.0), (80, 5.0)):
        coarse = rng.normal(0.0, strength, (cells, cells)).astype(np.float32)
        pattern = pattern + cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    slope = rng.normal(0, 0.15, 2)
    shade = 1.0 + slope[0] * (x / width - 0.5) + slope[1] * (y / height - 0.5)
    tint = 1.0 + rng.normal(0, 0.12, 3)
    table = (base + pattern[..., None] * tint) * shade[..., None]
    return np.clip(table, 10, 245).astype(np.float32)


def _wood(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    angle = rng.uniform(0, np.pi)
    along = x * np.cos(angle) + y * np.sin(angle)
    across = -x * np.sin(angle) + y * np.cos(angle)
    ring = np.sin(across * rng.uniform(0.25, 0.6) + 3 * np.sin(along * 0.03 + rng.uniform(0, 6)))
    plank = np.floor(across / rng.uniform(22, 40)) % 2
    return 10 * ring + 12 * plank


def _tiles(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    size = rng.uniform(16, 40)
    joint = (np.mod(x + rng.uniform(0, size), size) < 1.5) | (np.mod(y, size) < 1.5)
    checks = (np.floor(x / size) + np.floor(y / size)) % 2
    return -30.0 * joint + rng.uniform(0, 30) * checks


def _cloth(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    step_x, step_y = rng.uniform(6, 20, 2)
    warp = np.sin(2 * np.pi * x / step_x) > 0.3
    weft = np.sin(2 * np.pi * y / step_y) > 0.3
    return rng.uniform(10, 28) * (warp.astype(np.float32) + weft.astype(np.float32) - 1.0)
