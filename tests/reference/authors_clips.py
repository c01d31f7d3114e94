"""Which frames the authors' released code takes, written from its rule, a frame at a time.

At 30 frames/s: the last 2 frames are not used; of what is left, more than 90 frames are too many by
some number, and the clip starts at a frame drawn from so many; each part of what follows gives its
middle, or a frame drawn from as many as its length has whole ones.
"""

from collections.abc import Callable
from fractions import Fraction


def authors_clip(
    num_frames: int,
    num_parts: int,
    *,
    unused: int,
    longest: int,
    draw: Callable[[int], int],
    is_centered: bool,
) -> list[int]:
    """Places of the frames.

    Args:
        num_frames: of the video; 1 where it has no rate.
        num_parts: frames of the clip.
        unused: frames at the end that are not used, where that leaves one.
        longest: length above which the start is drawn.
        draw: a number from 0 on, below that given.
        is_centered: whether the middle of each part is taken.
    """
    usable = num_frames - unused if num_frames > max(unused, 1) else 1
    start = draw(usable - longest) if usable > longest else 0
    length = Fraction(usable - start, num_parts)
    places = []
    for part in range(num_parts):
        inside = length / 2 if is_centered or length < 1 else Fraction(draw(int(length)))
        places.append(int(start + part * length + inside))
    return places
