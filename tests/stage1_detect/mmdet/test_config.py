from pathlib import Path

import pytest

from orn.shared.errors import DetectorError

pytestmark = pytest.mark.mmdet


def test_digest_is_that_of_the_network_and_the_test_pipeline(
    demo_config: Path, tmp_path: Path
) -> None:
    from orn.stage1_detect.mmdet.config import read_config

    same, other, copy = (tmp_path / f"{name}.py" for name in ("same", "other", "copy"))
    same.write_text(f"_base_ = {str(demo_config)!r}\nwork_dir = 'elsewhere'\n")
    other.write_text(f"_base_ = {str(demo_config)!r}\nmodel = dict(neck=dict(num_outs=5))\n")
    copy.write_text(demo_config.read_text())
    found = {path.stem: read_config(path).digest for path in (demo_config, same, other, copy)}
    assert found["same"] == found["copy"] == found["mask_rcnn_demo"]
    assert found["other"] != found["same"]
    assert found["same"].startswith("sha256:")


def test_model_zoo_config_by_name() -> None:
    from orn.stage1_detect.mmdet.config import read_config, test_pipeline

    found = read_config("mask-rcnn_r50_fpn_ms-poly-3x_coco")
    assert found.name == "mask-rcnn_r50_fpn_ms-poly-3x_coco"
    assert test_pipeline(found.config)[1] == {
        "type": "Resize",
        "scale": (1333, 800),
        "keep_ratio": True,
    }


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(None, r"there is no such file", id="no file"),
        pytest.param("model = dict(", r"broken\.py: cannot be read", id="not Python"),
        pytest.param("model = dict(a=1)", r"found no test_dataloader", id="not a detector"),
        pytest.param("raise SystemExit", r"cannot be read: SystemExit", id="an exit"),
        pytest.param("raise ValueError", r"cannot be read: ValueError", id="no word"),
        pytest.param("raise KeyError(7)", r"cannot be read: KeyError 7", id="one word"),
        *(
            pytest.param(f"model = dict()\ntest_dataloader = {each}", message, id=each)
            for each, message in (
                ("None", r"broken\.py: wanted .* found no test_dataloader"),
                ("[]", "found a list as test_dataloader"),
                ("dict(batch_size=1)", "in test_dataloader.dataset.pipeline, found none"),
                ("dict(dataset=None)", "found none"),
                ("dict(dataset=dict(dataset=dict(a=1)))", "found none"),
                ("dict(dataset=dict(pipeline=None))", "found none"),
                ("dict(dataset=dict(pipeline=[]))", r"found \[\]"),
                ("dict(dataset=dict(pipeline=[1]))", "wanted steps that are a dict .* found 1"),
                ("dict(dataset=dict(pipeline=[dict(type=3)]))", "wanted steps that are a dict"),
                ("dict(dataset=dict(pipeline=[dict(type='Pad')]))", "loads an image.*found Pad"),
            )
        ),
        pytest.param("model = 3\ntest_dataloader = dict()", "found a int as model", id="number"),
    ],
)
def test_bad_files(tmp_path: Path, content: str | None, message: str) -> None:
    from orn.stage1_detect.mmdet.config import read_config

    path = tmp_path / "broken.py"
    if content is not None:
        path.write_text(content)
    with pytest.raises(DetectorError, match=message):
        read_config(path)
