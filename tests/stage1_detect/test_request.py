from pathlib import Path

import pytest

from orn.shared.manifests.load import shipped_detectors
from orn.shared.manifests.records import DetectorChoice
from orn.stage1_detect.request import DEFAULT_CONFIG, choose_files

OWN = DetectorChoice(config="own.py", checkpoint=Path("own.pth"))
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
    assert choose_files(own, config=config, checkpoint=path) == (expected[0], weights)


def test_shipped_weights_bring_their_config_wherever_they_lie(tmp_path: Path) -> None:
    for name, content in (("demo.pth", b"weights"), ("copy.pth", b"weights"), ("mine.pth", b"w")):
        (tmp_path / name).write_bytes(content)
    demo = DetectorChoice(config=str(tmp_path / "demo.py"), checkpoint=tmp_path / "demo.pth")
    shipped = {"demo": demo}

    def config_for(name: str, own: DetectorChoice = NONE) -> str:
        path = tmp_path / name
        return choose_files(own, config=None, checkpoint=path, shipped=shipped)[0]

    assert config_for("demo.pth") == config_for("copy.pth") == str(tmp_path / "demo.py")
    assert config_for("mine.pth") == config_for("absent.pth") == DEFAULT_CONFIG
    assert config_for("copy.pth", own=OWN) == "own.py"


@pytest.mark.parametrize("own", [OWN, NONE])
def test_a_shipped_detector_by_its_name_brings_its_weights(own: DetectorChoice) -> None:
    demo = DetectorChoice(config="/there/demo.py", checkpoint=Path("/there/demo.pth"))
    for given, expected in ((None, demo.checkpoint), (Path("mine.pth"), Path("mine.pth"))):
        found = choose_files(own, config="demo", checkpoint=given, shipped={"demo": demo})
        assert found == ("/there/demo.py", expected)


def test_the_demo_detector_is_shipped() -> None:
    choice = shipped_detectors()["mask_rcnn_demo"]
    assert choice.config is not None
    assert Path(choice.config).is_file()
