"""Explained clips of a run: frames, objects, and the importance of pairs for a class; and their
pictures: strips of frames, and the two frames of the most important pairs, which are drawn as lines
whose width represents their logit drop (figure 5 of the paper).

B clips of a batch, E explanations (one for each clip and class), T frames, K object slots,
H W pixels, h w cells.
"""

import io
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from orn.shared.drawing.draw_frame import DrawnObjects, draw_frame, draw_text, text_size
from orn.shared.pages.render import Picture
from orn.shared.text import truncate
from orn.stage2_train.clips.batches import LoaderSettings, evaluation_loader
from orn.stage2_train.clips.dataset import ClipDataset
from orn.stage2_train.explanation.importance import ClipPairs, Pair, explain
from orn.stage2_train.settings.model_config import Heads

LEAST_DROP, FULL_DROP = 0.02, 1.0
"""In pictures, pages and videos, a logit drop of `FULL_DROP` has the full line width, and smaller
drops than `LEAST_DROP` are not shown."""
_WIDEST, _THINNEST = 0.03, 0.004
"""Largest and smallest line width, relative to the frame's height."""
DECIDED = {
    "both": "Each head on its own predicts this class",
    "object_head": "Only the object head predicts this class on its own",
    "activity_head": "Only the activity head predicts this class on its own",
    "neither": "Neither head predicts this class on its own, only both together",
}
"""Descriptions of the values of `decided_by`."""
WHOLE_FRAME = "the whole frame"
"""Name of the background object in texts for people; it has no box."""
_BATCH_SIZE = 16
_LISTED_OBJECTS = 8
PAIR_FONT_SHARE = 0.05
"""Font size, relative to the frame's height, for pictures that pages scale down."""
_MOST_LINES = 5
"""Maximum number of pairs that are drawn."""
_MOST_FRAMES = 16
"""Maximum number of frames in a strip."""
_PAGE_WIDTH = 900
_GAP = 12
_LINE, _RIM = (255, 255, 255), (20, 20, 20)


def matters(drop: float) -> bool:
    """Return whether a logit change is large enough to be shown."""
    return abs(drop) >= LEAST_DROP


def line_width(drop: float, height: int) -> int:
    """Return the line width in pixels for a logit drop, in frames of this height in pixels."""
    share = min(abs(drop) / FULL_DROP, 1.0)
    return max(1, round(height * (_THINNEST + (_WIDEST - _THINNEST) * share)))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ExplainedClip:
    """A clip with the explanation of one class."""

    id: str
    """Id of the segment."""
    activity: int
    """The explained class."""
    frames_THW3: NDArray[np.uint8]
    """(T, H, W, 3) uint8 RGB."""
    masks_TKhw: NDArray[np.float32]
    """(T, K, h, w) fraction of each cell that the mask covers."""
    boxes_TK4: NDArray[np.float32]
    """(T, K, 4) x1 y1 x2 y2 in pixels."""
    labels_TK: NDArray[np.int64]
    """(T, K) detector classes; the background is the last one."""
    scores_TK: NDArray[np.float32]
    """(T, K) score of the highest-scoring class."""
    valid_TK: NDArray[np.bool_]
    """(T, K) whether a slot holds an object."""
    background: int
    """Label of the background."""
    pairs: ClipPairs | None
    """Importance of pairs; None if the network does not relate pairs of objects."""
    decided_by: str | None
    """Head that determined the prediction; None with a single head."""

    def strongest(self, most: int | None = None, *, against: bool = False) -> list[Pair]:
        """Return the pairs that support or oppose the class most."""
        pairs = [] if self.pairs is None else self.pairs.strongest(most, against=against)
        return [pair for pair in pairs if (pair.logit_drop < 0 if against else pair.logit_drop > 0)]

    def places(self, pair: Pair) -> list[tuple[int, int]]:
        """Return the frame and slot of both objects of a pair."""
        return [*zip(pair.frames, pair.objects, strict=True)]

    def pair_text(self, pair: Pair, names: tuple[str, ...]) -> str:
        """Return a pair as text, such as `cup (frame 1) and person (frame 3)`."""
        titles = [*names, WHOLE_FRAME]
        return " and ".join(
            f"{titles[self.labels_TK[frame, slot]]} (frame {frame + 1})"
            for frame, slot in self.places(pair)
        )

    def detected_text(self, names: tuple[str, ...]) -> str:
        """Return the detected classes with their highest scores, such as `cup 0.98, bed 0.91`."""
        is_shown_TK = self.valid_TK & (self.labels_TK < self.background)
        labels, scores = self.labels_TK[is_shown_TK], self.scores_TK[is_shown_TK]
        return detected_text(zip([names[label] for label in labels], scores, strict=True))

    def drawn_objects(self, frame: int) -> DrawnObjects:
        """Return the objects in a frame, without the background, on the grid of their masks."""
        (rows, columns), (height, width) = self.masks_TKhw.shape[2:], self.frames_THW3.shape[1:3]
        shown_k = np.flatnonzero(self.valid_TK[frame] & (self.labels_TK[frame] < self.background))
        cells = np.array([columns / width, rows / height] * 2, np.float32)
        return DrawnObjects(
            boxes=self.boxes_TK4[frame, shown_k] * cells,
            covers=self.masks_TKhw[frame, shown_k],
            labels=self.labels_TK[frame, shown_k],
            scores=self.scores_TK[frame, shown_k],
        )

    def center(self, frame: int, slot: int) -> tuple[float, float]:
        """Return the center of an object's box, relative to the frame's width and height."""
        height, width = self.frames_THW3.shape[1:3]
        x1, y1, x2, y2 = self.boxes_TK4[frame, slot].tolist()
        return (x1 + x2) / 2 / width, (y1 + y2) / 2 / height


def detected_text(objects: Iterable[tuple[str, float]]) -> str:
    """Return the classes of objects with their highest scores, such as `cup 0.98, bed 0.91`.

    Args:
        objects: class and score of each object.
    """
    best: dict[str, float] = {}
    for name, score in objects:
        best[name] = max(best.get(name, 0.0), score)
    seen = sorted(best.items(), key=lambda item: -item[1])[:_LISTED_OBJECTS]
    return ", ".join(f"{truncate(name, 40)} {score:.2f}" for name, score in seen) or "nothing"


def explained_clips(
    network: nn.Module | None,
    clips: ClipDataset,
    asked: Mapping[str, Iterable[int]],
    *,
    device: torch.device,
    workers: int,
    heads: Heads,
    advance: Callable[[int], None],
) -> Iterator[ExplainedClip]:
    """Yield each clip once per class to explain.

    Args:
        network: network in evaluation mode on the device; None if it does not relate pairs of
            objects, in which case clips have no explanation.
        clips: centered clips.
        asked: classes to explain, by segment id.
        device: device for the computation.
        workers: number of processes that load batches.
        heads: trained heads.
        advance: called with the number of clips of each finished batch.
    """
    for batch in evaluation_loader(clips, LoaderSettings(batch_size=_BATCH_SIZE, workers=workers)):
        places = [(clip, activity) for clip, id in enumerate(batch.ids) for activity in asked[id]]
        for start in range(0, len(places), len(batch)):
            part = places[start : start + len(batch)]
            importance = None
            if network is not None:
                clips_E = torch.tensor([clip for clip, _ in part])
                class_E = torch.tensor([activity for _, activity in part])
                inputs = batch.inputs().of_clips(clips_E, device)
                importance = explain(network, inputs, heads=heads, class_B=class_E.to(device))
            decided = importance.decided_by() if importance else [None] * len(part)
            for place, (clip, activity) in enumerate(part):
                yield ExplainedClip(
                    id=batch.ids[clip],
                    activity=activity,
                    frames_THW3=batch.frames_BTCHW[clip].permute(0, 2, 3, 1).numpy(),
                    masks_TKhw=batch.masks_BTKhw[clip].numpy(),
                    boxes_TK4=batch.boxes_BTK4[clip].numpy(),
                    labels_TK=batch.detector_labels_BTK[clip].numpy(),
                    scores_TK=batch.class_scores_BTKS[clip, ..., :-1].amax(dim=-1).numpy(),
                    valid_TK=batch.valid_BTK[clip].numpy(),
                    background=batch.class_scores_BTKS.shape[-1] - 1,
                    pairs=importance.of_clip(place) if importance else None,
                    decided_by=decided[place],
                )
        advance(len(batch))


def draw_pairs(
    clip: ExplainedClip, names: tuple[str, ...], *, against: bool = False
) -> NDArray[np.uint8]:
    """Draw the two frames of a clip whose pairs are most important side by side, with masks.

    The pairs between these frames are drawn as lines; those with the background are omitted,
    because it has no place. Without a pair, the first and the last frame are drawn.

    Args:
        clip: the clip.
        names: names of the detector's classes.
        against: whether to draw the pairs that oppose the class.

    Returns:
        (H', W', 3) uint8 RGB.
    """
    drawn = [
        pair
        for pair in clip.strongest(against=against)
        if matters(pair.logit_drop)
        and all(clip.labels_TK[place] != clip.background for place in clip.places(pair))
    ][:_MOST_LINES]
    total: dict[tuple[int, ...], float] = defaultdict(float)
    for pair in drawn:
        total[pair.frames] += abs(pair.logit_drop)
    frames = max(total, key=total.__getitem__) if total else (0, len(clip.frames_THW3) - 1)
    shown = sorted(set(frames))
    panels = [_panel(clip, frame, names) for frame in shown]
    height, width, _ = panels[0].shape
    gap = np.full((height, _GAP, 3), 128, np.uint8)  # on light and dark pages
    parts = [part for panel in panels for part in (gap, panel)][1:]
    picture = np.ascontiguousarray(np.concatenate(parts, axis=1))
    own = [pair for pair in drawn if set(pair.frames) <= set(shown)]
    for pair in reversed(own):  # the most important line on top
        points = []
        for frame, slot in clip.places(pair):
            x, y = clip.center(frame, slot)
            left = shown.index(frame) * (width + _GAP)
            points.append((left + round(x * width), round(y * height)))
        _draw_line(picture, points, line_width(pair.logit_drop, height))
        if pair is own[0]:
            middle = (points[0][0] + points[1][0]) // 2, (points[0][1] + points[1][1]) // 2
            _draw_word(picture, f"{-pair.logit_drop:+.2f}", middle, height)
    return picture


def _panel(clip: ExplainedClip, frame: int, names: tuple[str, ...]) -> NDArray[np.uint8]:
    return draw_frame(
        clip.frames_THW3[frame],
        clip.drawn_objects(frame),
        class_names=names,
        caption=f"frame {frame + 1} of {len(clip.frames_THW3)}",
        font_share=PAIR_FONT_SHARE,
    )


def _draw_line(picture: NDArray[np.uint8], points: list[tuple[int, int]], thickness: int) -> None:
    rim = max(1, thickness // 4)
    for color, width in ((_RIM, thickness + 2 * rim), (_LINE, thickness)):
        cv2.line(picture, points[0], points[1], color, width, cv2.LINE_AA)
        for point in points:
            cv2.circle(picture, point, width, color, -1, cv2.LINE_AA)


def _draw_word(picture: NDArray[np.uint8], word: str, point: tuple[int, int], height: int) -> None:
    pixels = max(round(height * PAIR_FONT_SHARE), 11)
    width, tall = text_size(word, pixels)
    x = min(max(point[0] + 12, 2), picture.shape[1] - width - 4)
    top = point[1] - tall // 2
    cv2.rectangle(picture, (x - 3, top - 2), (x + width + 3, top + tall + 2), _RIM, -1)
    draw_text(picture, word, x, top, pixels=pixels, color=_LINE)


def spread(count: int, most: int) -> list[int]:
    """Return at most `most` evenly spaced indices below `count`."""
    return np.unique(np.linspace(0, count - 1, min(most, count)).round().astype(int)).tolist()


def strip(
    frames_THW3: Sequence[NDArray[np.uint8]], *, key: str, rank: int, tallest: int
) -> Picture:
    """Return the frames of a clip as one strip, for a page to play; of a long clip, some of them.

    Args:
        frames_THW3: T frames, (H, W, 3) uint8 RGB.
        key: key of the picture.
        rank: rank of the picture.
        tallest: maximum height in pixels.
    """
    shown = [frames_THW3[place] for place in spread(len(frames_THW3), _MOST_FRAMES)]
    height, width, _ = shown[0].shape
    scale = min(tallest / height, 1000 / width, 1.0)
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    small = [cv2.resize(frame_HW3, size, interpolation=cv2.INTER_AREA) for frame_HW3 in shown]
    data = _webp(Image.fromarray(np.concatenate(small, axis=1)), quality=60)
    return Picture(key=key, data=data, rank=rank, frames=len(small), size=size)


def webp(picture_HW3: NDArray[np.uint8]) -> bytes:
    """Return a picture as WebP, scaled down to the page width."""
    picture = Image.fromarray(picture_HW3)
    if picture.width > _PAGE_WIDTH:
        size = (_PAGE_WIDTH, max(1, round(picture.height * _PAGE_WIDTH / picture.width)))
        picture = picture.resize(size, Image.Resampling.LANCZOS)
    return _webp(picture, quality=72)


def _webp(picture: Image.Image, *, quality: int) -> bytes:
    held = io.BytesIO()
    picture.save(held, format="WEBP", quality=quality, method=4)
    return held.getvalue()
