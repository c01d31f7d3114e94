"""`orn doctor`: what it says of sound and of broken installations."""

from dataclasses import asdict
from pathlib import Path

import pytest

from orn import doctor
from orn.doctor import Check
from orn.shared.download import cached_path
from orn.stage2_train.training.initial_weights import IMAGENET_URLS

OK = Check(name="one", status="ok", found="fine")
WARNING = Check(name="two", status="warning", found="odd", remedy="look")
FAILED = Check(name="three", status="failed", found="broken", remedy="mend it")


def test_what_is_told(orn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "run_checks", lambda: iter((OK, WARNING)))
    assert "look" in orn("doctor").stdout
    monkeypatch.setattr(doctor, "run_checks", lambda: iter((OK, WARNING, FAILED)))
    payload = orn("doctor", "--json", exit_code=1).json
    assert payload["ok"] is False
    assert payload["checks"][2] == asdict(FAILED)


def test_weights_in_the_cache_are_listed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    [found] = [check for check in doctor.run_checks() if check.name == "weights"]
    here, absent = found.found.split("; ")
    assert "tf_efficientnet_lite0" in here and "mask-rcnn_r50_fpn_ms-poly-3x_coco" in absent
    name, url = next(iter(IMAGENET_URLS.items()))
    cached_path(url).parent.mkdir(parents=True)
    cached_path(url).write_bytes(b"")
    (cached_path(url).parent / "s3d-d76dad2f.pth").touch()
    [found] = [check for check in doctor.run_checks() if check.name == "weights"]
    here = found.found.split("; ")[0]
    assert name in here and "torchvision/s3d" in here and found.status == "ok"
