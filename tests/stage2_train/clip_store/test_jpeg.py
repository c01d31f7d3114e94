"""Frames to JPEG and back."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from orn.shared.errors import PipelineError
from orn.stage2_train.clip_store import jpeg
from orn.stage2_train.clip_store.clip_store import ClipStore
from orn.stage2_train.clip_store.jpeg import decode_jpeg, encode_frame
from orn.stage2_train.clip_store.store_format import StoreSettings


def test_shrinking_averages_instead_of_skipping() -> None:
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 200
    data = encode_frame(stripes, StoreSettings(size=(16, 16), jpeg_quality=95))
    inner = decode_jpeg(data)[2:-2, 2:-2]
    assert np.abs(inner.astype(int) - 100).max() <= 3  # JPEG rounding on flat gray


@pytest.fixture
def no_decoder(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As with a torchvision that does not belong to torch."""

    def fails(library: Path) -> None:
        raise OSError("undefined symbol")

    monkeypatch.setattr(torch.ops, "load_library", fails)
    jpeg.jpeg_decoder.cache_clear()
    yield
    jpeg.jpeg_decoder.cache_clear()


def test_a_missing_decoder_is_not_damage_of_the_store(tmp_path, tiny_world, no_decoder) -> None:
    store = tiny_world.clips()
    assert isinstance(store, ClipStore)
    with pytest.raises(PipelineError, match=r"torchvision.*orn doctor") as raised:
        store.frames(store.ids[0]).read(np.arange(1))
    assert "remove" not in str(raised.value)
