"""What is installed: `orn` alone, whatever lies where a user works."""

import configparser
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from tests.conftest import PACKAGES, ROOT

ROOMS = [name for name in PACKAGES if name != "orn"]

FILM = "data/demo/videos/train-000000.mp4"
ARGUMENTS = {
    "epic100_submission.py": ("--help",),
    "late_fusion.py": ("runs/demo", "runs/demo"),
    "shortcuts.py": ("--help",),
    "write_shard.py": ("shards/mine/shard-000000.zarr.zip", FILM),
}
"""What examples are called with, beside a few films of the demo."""

SHORT = [
    word for name in ("object_head_epochs", "epochs") for word in ("--set", f"phases.{name}=1")
]


def run(
    *command: str | Path, folder: Path, python_path: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs a command as a user does; whatever it prints is kept."""
    environment = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
    if python_path is not None:
        environment["PYTHONPATH"] = str(python_path)
    words = [*map(str, command)]
    return subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True)


def test_setup_lists_every_package() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    listed = setup["options"]["packages"].split()
    packages = [
        path.parent.relative_to(ROOT / "orn" if room == "orn" else ROOT)
        for room in PACKAGES
        for path in (ROOT / room).rglob("__init__.py")
    ]
    assert sorted(listed) == sorted(".".join(("orn", *path.parts)) for path in packages)
    places = dict(
        line.split(" = ") for line in setup["options"]["package_dir"].strip().splitlines()
    )
    assert places == {"orn": "orn"} | {f"orn.{room}": room for room in ROOMS}


@pytest.mark.parametrize("room", ROOMS)
def test_no_room_is_imported_from_the_top(room: str) -> None:
    ended = run(sys.executable, "-c", f"import {room}", folder=ROOT)
    assert ended.returncode == 1
    assert f"orn.{room}" in ended.stderr.splitlines()[-1]


def build_in(folder: Path) -> Path:
    """Build the wheel as `make release` does, from the sdist, and return its folder."""
    source, built = folder / "source", folder / "dist"
    for name in ("orn", *ROOMS):
        shutil.copytree(ROOT / name, source / name)
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    build = (sys.executable, "-m", "build", "--no-isolation", "--outdir", built)
    made = run(*build, folder=source)
    assert made.returncode == 0, made.stderr
    return built


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scripts of an environment that has the wheel and sees the packages of this one; the wheel
    is that of the folder ORN_DIST, or built from an sdist."""
    folder = tmp_path_factory.mktemp("installed")
    built = Path(os.environ.get("ORN_DIST") or build_in(folder))
    [wheel] = built.glob("*.whl")
    venv.create(folder / "venv", with_pip=True)
    python = folder / "venv" / "bin" / "python"
    made = run(python, "-m", "pip", "install", "--no-index", "--no-deps", wheel, folder=folder)
    assert made.returncode == 0, made.stderr
    [packages] = (folder / "venv" / "lib").glob("python*/site-packages")
    assert {path.name for path in packages.iterdir() if (path / "__init__.py").is_file()} >= {"orn"}
    assert not {*ROOMS, "tests"} & {path.name for path in packages.iterdir()}
    seen = [path for path in sys.path if path.endswith("site-packages")]
    (packages / "seen.pth").write_text("\n".join(seen) + "\n", encoding="utf-8")
    return python.parent


WORLD = """
from pathlib import Path
from orn.demo.world import write_world
write_world(Path("data"), films={"train": 24, "validation": 8}, seed=0, workers=1)
"""


@pytest.mark.slow
@pytest.mark.mmdet
def test_the_wheel_works_beside_folders_of_the_same_names(installed: Path, tmp_path: Path) -> None:
    for name in (*ROOMS, "tests"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise ImportError('a folder of the user')\n")
    examples = shutil.copytree(ROOT / "examples", tmp_path / "examples")
    commands: list[tuple[str | Path, ...]] = [
        (installed / "orn", "--help"),
        (installed / "python", "-P", "-m", "orn", "manifest", "list"),
        (installed / "python", "-P", "-c", WORLD),
        (installed / "orn", "run", "demo", "--run", "runs/demo", *SHORT, "--yes"),
        *(
            (installed / "python", path, *ARGUMENTS.get(path.name, ()))
            for path in sorted(examples.glob("*.py"))
        ),
    ]
    where = "import orn, sys; print(orn.__file__)"
    ended = run(installed / "python", "-P", "-c", where, folder=tmp_path, python_path=tmp_path)
    assert ended.stdout.startswith(str(installed.parent)), ended.stderr
    for command in commands:
        ended = run(*command, folder=tmp_path, python_path=tmp_path)
        assert ended.returncode == 0, (command, ended.stderr[-2000:])
