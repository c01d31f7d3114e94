"""`orn doctor`: what it says of sound and of broken installations."""

from collections.abc import Callable
from dataclasses import asdict

import pytest

from orn import doctor
from orn.doctor import Check


def look(name: str) -> Check:
    """What is found by the check of this name."""
    return next(check for check in doctor.run_checks() if check.name == name)


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes these the only distributions that are wanted, and there, names with _ for -."""

    def replace(ranges: dict[str, str], **versions: str) -> None:
        monkeypatch.setattr(doctor, "requirements", lambda: ranges)
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
    payload = orn("doctor", "--json", exit_code=1).json
    assert payload["ok"] is False
    assert payload["checks"][2] == asdict(FAILED)


def test_every_check_runs_here() -> None:
    names = [check.name for check in doctor.run_checks()]
    assert names[0] == "python"
    assert names[-5:] == ["cv2", "torch devices", "precision", "mmcv", "image network"]
    assert {"torch", "zarr", "mmcv-lite"} <= set(names)


@pytest.mark.parametrize(
    ("ranges", "versions", "status", "value"),
    [
        ({"some-library": ">=2,<3"}, {"some_library": "2.5+cpu"}, "ok", "2.5+cpu"),
        ({"some-library": ">=2,<3"}, {"some_library": "3.0"}, "failed", "3.0, expected >=2,<3"),
        ({"some-library": ">=2,<3"}, {}, "failed", "not installed"),
        ({"mmcv-lite": ">=2.1,<2.2"}, {"mmcv": "2.1.0"}, "ok", "2.1.0"),
        ({}, {}, "failed", "not installed"),
    ],
)
def test_versions_against_ranges(
    install, ranges: dict[str, str], versions: dict[str, str], status: str, value: str
) -> None:
    install(ranges, **versions)
    (name, specifier), *_ = [*ranges.items(), ("packages", "")]
    check = look(name)
    assert check.status == status
    assert value in check.found
    remedy = f"pip install '{name}{specifier}'" if ranges else "make setup"
    assert (remedy in check.remedy) == (status != "ok")
