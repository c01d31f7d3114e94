from __future__ import annotations

from pathlib import Path

import pytest

from shared.manifests.records import DetectorChoice
from stage1_detect.detector_choice import DEFAULT_CONFIG, DetectorFiles, choose_files

OWN = DetectorChoice(config=Path("own.py"), checkpoint=Path("own.pth"))
NONE = DetectorChoice()


@pytest.mark.parametrize(
    ("own", "config", "checkpoint", "expected"),
    [
        pytest.param(OWN, None, None, ("own.py", "own.pth"), id="data set's own"),
        pytest.param(OWN, None, "mine.pth", ("own.py", "mine.pth"), id="other weights"),
        pytest.param(OWN, "mine.py", None, ("mine.py", None), id="own weights fit own config only"),
        pytest.param(OWN, "mine.py", "mine.pth", ("mine.py", "mine.pth"), id="both given"),
        pytest.param(NONE, None, None, (DEFAULT_CONFIG, None), id="default"),
        pytest.param(NONE, None, "mine.pth", (DEFAULT_CONFIG, "mine.pth"), id="weights only"),
    ],
)
def test_choice(
    own: DetectorChoice,
    config: str | None,
    checkpoint: str | None,
    expected: tuple[str, str | None],
) -> None:
    path = None if checkpoint is None else Path(checkpoint)
    weights = None if expected[1] is None else Path(expected[1])
    wanted = DetectorFiles(config=expected[0], checkpoint=weights)
    assert choose_files(own, config=config, checkpoint=path) == wanted
