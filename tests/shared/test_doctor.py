"""`orn doctor`: what it says of sound and of broken installations."""

import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import Any
from unittest.mock import MagicMock

import pytest

from orn.shared import doctor
from orn.shared.doctor import Check


def look(name: str) -> Check:
    """What is found by the check of this name."""
    return next(check for check in doctor.run_checks() if check.name == name)


def raising(error: Exception) -> Callable[..., Any]:
    return MagicMock(side_effect=error)


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes these the only distributions that are wanted, and there, names with _ for -."""

    def replace(wanted: dict[str, str], **versions: str) -> None:
        monkeypatch.setattr(doctor, "requirements", lambda: wanted)
        monkeypatch.setattr(
            doctor, "installed_version", lambda name: versions.get(name.replace("-", "_"))
        )

    return replace


OK = Check(name="one", status="ok", found="fine")
WARNING = Check(name="two", status="warning", found="odd", remedy="look")
FAILED = Check(name="three", status="failed", found="broken", remedy="mend it")


def test_what_is_told(orn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "run_checks", lambda: iter((OK, WARNING)))
    assert "look" in orn("doctor").stdout
    monkeypatch.setattr(doctor, "run_checks", lambda: iter((OK, WARNING, FAILED)))
    told = orn("doctor", exit_code=1).stdout
    assert all(word in told for word in ("one", "fine", "two", "odd", "three", "broken", "mend it"))
    payload = orn("doctor", "--json", exit_code=1).json
    assert payload["ok"] is False
    assert payload["checks"][2] == asdict(FAILED)


def test_every_check_runs_here() -> None:
    names = [check.name for check in doctor.run_checks()]
    assert names[0] == "python"
    assert names[-3:] == ["cv2", "torch devices", "mmcv"]
    assert {"torch", "zarr", "mmcv-lite"} <= set(names)


@pytest.mark.parametrize(
    ("wanted", "versions", "status", "found"),
    [
        ({"some-library": ">=2,<3"}, {"some_library": "2.5+cpu"}, "ok", "2.5+cpu"),
        ({"some-library": ">=2,<3"}, {"some_library": "3.0"}, "failed", "3.0, expected >=2,<3"),
        ({"some-library": ">=2,<3"}, {"some_library": "2.6.0rc1"}, "ok", "2.6.0rc1"),
        ({"some-library": ">=2,<3"}, {}, "failed", "not installed"),
        ({"mmcv-lite": ">=2.1,<2.2"}, {"mmcv": "2.1.0"}, "ok", "2.1.0"),
        ({}, {}, "failed", "not installed"),
    ],
)
def test_versions_against_ranges(
    install, wanted: dict[str, str], versions: dict[str, str], status: str, found: str
) -> None:
    install(wanted, **versions)
    (name, specifier), *_ = [*wanted.items(), ("packages", "")]
    check = look(name)
    assert check.status == status
    assert found in check.found
    remedy = f"pip install '{name}{specifier}'" if wanted else "make setup"
    assert (remedy in check.remedy) == (status != "ok")


def test_opencv_that_needs_a_desktop(install, monkeypatch: pytest.MonkeyPatch) -> None:
    install({}, opencv_python="4.10.0")
    monkeypatch.setattr("importlib.import_module", raising(ImportError("libGL.so.1: cannot open")))
    check = look("cv2")
    assert check.status == "failed"
    assert check.found.startswith("opencv-python 4.10.0; does not import: libGL.so.1")
    assert "uninstall --yes opencv-python " in check.remedy
    assert "install --no-deps opencv-python-headless" in check.remedy
    assert sys.executable in check.remedy
    monkeypatch.undo()
    assert look("cv2").status == "ok"


@pytest.mark.parametrize(
    ("name", "place", "part", "status", "found"),
    [
        ("python", "sys.version_info", (3, 10, 1), "failed", "expected 3.11 to 3.13"),
        ("mmcv", "importlib.util.find_spec", lambda _: None, "failed", "mmcv, mmdet, mmengine not"),
        ("mmcv", "importlib.util.find_spec", raising(OSError("a\nb")), "failed", "OSError: a"),
    ],
)
def test_what_does_not_work(
    monkeypatch: pytest.MonkeyPatch, name: str, place: str, part: Any, status: str, found: str
) -> None:
    monkeypatch.setattr(place, part)
    check = look(name)
    assert check.status == status
    assert found in check.found
    assert check.remedy
