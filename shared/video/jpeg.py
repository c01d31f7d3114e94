"""One JPEG file, opened as that and nothing else.

Pillow takes a file for what it holds, whatever its name, and some of its readers start programs. A
picture's size is read from the header and bounded before anything is decoded.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image, ImageOps
from PIL.JpegImagePlugin import JpegImageFile

from shared.errors import VideoDecodeError
from shared.video.frame import MOST_PIXELS
from shared.video.regular_file import reason, regular_status


@contextmanager
def opened_jpeg(path: Path) -> Iterator[JpegImageFile]:
    """A JPEG of which the header has been read.

    Raises:
        VideoDecodeError: if it is no JPEG file, or has more than `MOST_PIXELS`; in the `with` block
            too, if it cannot be decoded.
    """
    regular_status(path)
    try:
        # The class itself: `Image.open` would try each format, and has another bound.
        with path.open("rb") as file, JpegImageFile(file) as picture:
            width, height = picture.size
            if width * height > MOST_PIXELS:
                raise VideoDecodeError(
                    f"{path}: has {width} x {height} pixels, at most {MOST_PIXELS:,} are read"
                )
            yield picture
    except VideoDecodeError:
        raise
    except Exception as err:  # damaged headers make Pillow raise errors of any kind
        raise VideoDecodeError(f"{path}: {reason(err)}") from err


def jpeg_image(path: Path) -> Image.Image:
    """The picture as it is to be shown, RGB.

    Raises:
        VideoDecodeError: as `opened_jpeg`.
    """
    with opened_jpeg(path) as opened:
        return ImageOps.exif_transpose(opened).convert("RGB")
