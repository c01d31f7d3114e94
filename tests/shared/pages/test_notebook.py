"""What notebooks show of frames and predictions."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from orn.inspect.overlay import show_frame
from orn.predict.prediction import SeenObject, WindowPrediction
from orn.shared.shards.shard import Shard
from orn.stage2_train.explanation.importance import Pair
from tests.browser import HOSTILE
from tests.worlds.shards import CUP, blocks, counted, write_shard


@pytest.fixture
def shown(monkeypatch) -> list[str]:
    """What is displayed, in place of IPython's `display`."""
    texts: list[str] = []
    display = SimpleNamespace(HTML=lambda html: html, display=texts.append)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    return texts


@pytest.mark.parametrize("name", HOSTILE)
def test_names_of_others_stay_text(tmp_path, shown, name) -> None:
    logits = np.float32([1, 0])
    detections = blocks((CUP, 0.9, 1, 1, 5, 5), height=6, width=8)
    shard = tmp_path / "shard-000000.zarr.zip"
    write_shard(shard, {name: counted([detections], 0)}, size=(6, 8))
    (frame,) = Shard(shard)
    show_frame(frame)
    show_frame(frame, np.full((60, 80, 3), 200, np.uint8))
    seen = SeenObject(name=name, score=0.5, box=(0, 0, 1, 1))
    WindowPrediction(
        video=name, classes=(name, "b"), start_seconds=0, stop_seconds=1, frames=(0,), seconds=(0,),
        logits={"object_head": logits}, probabilities=logits, objects=((seen,),),
        pairs=(Pair(frames=(0, 0), objects=(0, 0), logit_drop=0.25),),
    ).show()  # fmt: skip
    assert shown[0] != shown[1]
    for html in shown:
        assert "<script" not in html and html.count("<img") == html.count("data:image/jpeg")
    assert [html.count("<img") for html in shown] == [1, 1, 0]
    assert "100 %" in shown[2] and "Without" in shown[2] and "1 object" in shown[0]
