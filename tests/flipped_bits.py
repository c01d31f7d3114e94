"""Files that are damaged by one bit."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np


def with_flipped_bits(path: Path, *, times: int = 60, spared: int = 0) -> Iterator[None]:
    """Yields once for each of `times` random bits of a file, which alone is then flipped.

    Args:
        path: the file; the last bit stays flipped.
        times: number of bits.
        spared: bytes at the end that are never changed, such as a line break.
    """
    content, random = path.read_bytes(), np.random.default_rng(1)
    for _ in range(times):
        place = int(random.integers(len(content) - spared))
        changed = bytearray(content)
        changed[place] ^= 1 << int(random.integers(8))
        path.write_bytes(changed)
        yield
