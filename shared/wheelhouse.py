"""`orn wheelhouse`: what a machine without a network lacks of this project, as a folder of wheels.

pip resolves and downloads. Packages that the machine has are stood in for by empty wheels of the
same version, so that pip neither fetches nor replaces them, nor what they need.
"""

import platform
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import click
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from orn.shared.cli_options import NonEmptyPath, NumberRange, echo, echo_json, json_option
from orn.shared.environment import requirements
from orn.shared.errors import ConfigError, PipelineError
from orn.shared.jobs.outputs import check_output_folder
from orn.shared.text import counted

_ROOT = Path(__file__).resolve().parents[1]
_STOOD_IN = "+there"
"""Marks the version of an empty wheel."""
_ALWAYS_THERE = {"opencv-python": "5.0.0"}
"""opencv-python-headless holds the same modules and needs no X libraries."""
_LEGACY_LINUX = {5: "manylinux1", 12: "manylinux2010", 17: "manylinux2014"}
"""Older names of the same platforms, by their glibc 2.N."""
_MIB = 1 << 20


def _check_version(context: click.Context, option: click.Parameter, version: str) -> str:
    if not re.fullmatch(r"3(\.\d{1,3}){1,2}", version, re.ASCII):
        raise click.BadParameter(f"wanted such as 3.12, found {version!r:.40}")
    return version


@click.command()
@click.argument("out", type=NonEmptyPath(file_okay=False))
@click.option(
    "--python-version",
    default=f"{sys.version_info.major}.{sys.version_info.minor}",
    show_default=True,
    callback=_check_version,
    help="Of the machine, such as 3.12.",
)
@click.option(
    "--platform",
    "platform_name",
    default=f"manylinux_2_28_{platform.machine()}",
    show_default=True,
    help="Of the machine, as wheels call it; for manylinux, older glibc count too.",
)
@click.option(
    "--without",
    type=NonEmptyPath(exists=True, dir_okay=False),
    help="What the machine has: the output of `pip list --format=freeze` there.",
)
@click.option("--at-most", type=NumberRange(1, 10**9), help="Fail where all are larger, in MiB.")
@json_option
def wheelhouse(
    out: Path,
    python_version: str,
    platform_name: str,
    without: Path | None,
    at_most: float | None,
    as_json: bool,
) -> None:
    """Collect into the folder OUT the wheels that a machine without a network lacks.

    There, `make setup OFFLINE=OUT` installs them, or plain pip: docs/offline.md.
    """
    check_output_folder(out, ours=["*.whl"])
    there = {} if without is None else installed_there(without)
    sizes = make_wheelhouse(out, python_version, platforms(platform_name), there)
    total = sum(sizes.values()) / _MIB
    if as_json:
        echo_json({"folder": str(out), "mib": total, "bytes": sizes})
    else:
        echo(f"{out}: {counted(len(sizes), 'wheel')}, {total:.1f} MiB")
    if at_most is not None and total > at_most:
        largest = sorted(sizes, key=sizes.__getitem__, reverse=True)[:3]
        raise PipelineError(
            f"{out}: wanted at most {at_most:g} MiB, found {total:.1f}; the largest are "
            f"{', '.join(f'{name} ({sizes[name] / _MIB:.1f})' for name in largest)}; list in "
            "--without what the machine has of them"
        )


def make_wheelhouse(
    out: Path, python_version: str, platform_names: tuple[str, ...], there: Mapping[str, str]
) -> dict[str, int]:
    """Downloads wheels, and builds this project's own; bytes by name of a file.

    Args:
        out: folder; wheels that it holds are kept where they fit.
        python_version: such as 3.12.
        platform_names: tags of platforms whose wheels run there.
        there: versions of what is installed there, by name.

    Raises:
        ConfigError: if a version there is not one that this project takes.
        PipelineError: if pip fails, such as without a network.
    """
    there = {**there, **_ALWAYS_THERE}
    wanted = requirements()
    for name, version in there.items():
        allowed = Requirement(f"{name}{wanted.get(name, '')}").specifier
        if not allowed.contains(version, prereleases=True):
            raise ConfigError(
                f"{name}: wanted {allowed} on the machine, found {version}; install another one "
                "there, or leave it out of --without"
            )
    with tempfile.TemporaryDirectory() as folder:
        stubs = Path(folder)
        pinned = [f"{name}=={version}{_STOOD_IN}" for name, version in there.items()]
        for name, version in there.items():
            _write_empty_wheel(stubs, name, f"{version}{_STOOD_IN}")
        constraints = stubs / "constraints.txt"
        constraints.write_text("\n".join([*_tested(there), *pinned]) + "\n")
        _pip(
            *("download", "--dest", str(out), "--only-binary=:all:", "--find-links", folder),
            *(f"--python-version={python_version}", "--implementation=cp"),
            *(f"--platform={name}" for name in platform_names),
            *("--constraint", str(constraints)),
            *(f"{name}{versions}" for name, versions in wanted.items()),
        )
    for stub in out.glob(f"*{_STOOD_IN}-*.whl"):
        stub.unlink()
    _pip("wheel", "--no-deps", "--wheel-dir", str(out), str(_ROOT))
    return {wheel.name: wheel.stat().st_size for wheel in sorted(out.glob("*.whl"))}


def installed_there(path: Path) -> dict[str, str]:
    """Versions by name from the output of `pip list --format=freeze`; a version's local part, such
    as +cu130, is left out.

    Raises:
        ConfigError: naming the line that is not NAME==VERSION.
    """
    found: dict[str, str] = {}
    for number, line in enumerate(path.read_text("utf-8", errors="replace").splitlines(), 1):
        text = line.split("#", 1)[0].strip()
        if not text or text.startswith("-e "):
            continue
        try:
            requirement = Requirement(text)
            (pin,) = requirement.specifier
            version = Version(pin.version)
            if pin.operator != "==":
                raise ValueError(pin.operator)
        except (InvalidRequirement, ValueError) as err:
            raise ConfigError(
                f"{path}, line {number}: wanted NAME==VERSION as `pip list --format=freeze` writes "
                f"it, found {text[:60]!r}"
            ) from err
        found[canonicalize_name(requirement.name)] = version.public
    return found


def platforms(name: str) -> tuple[str, ...]:
    """Tags of all platforms whose wheels run on this one: of manylinux also those of older glibc.

    Args:
        name: such as manylinux_2_28_x86_64 or macosx_14_0_arm64.
    """
    match = re.fullmatch(r"manylinux_2_(\d{1,3})_(\w+)", name)
    if match is None:
        return (name,)
    newest, machine = int(match[1]), match[2]
    tags = [f"manylinux_2_{minor}_{machine}" for minor in range(newest, 4, -1)]
    legacy = [f"{old}_{machine}" for minor, old in _LEGACY_LINUX.items() if minor <= newest]
    return (*tags, *legacy, f"linux_{machine}")


def _tested(there: Mapping[str, str]) -> Iterator[str]:
    """The newest tested versions, but for what is there already."""
    path = _ROOT / "constraints.txt"
    for line in path.read_text("utf-8").splitlines() if path.is_file() else ():
        comment = not line or line.startswith("#")
        if not comment and canonicalize_name(Requirement(line).name) not in there:
            yield line


def _write_empty_wheel(folder: Path, name: str, version: str) -> None:
    stem = f"{name.replace('-', '_')}-{version}"
    info = f"{stem}.dist-info"
    with zipfile.ZipFile(folder / f"{stem}-py3-none-any.whl", "w") as file:
        file.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        )
        file.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        file.writestr(f"{info}/RECORD", "")


def _pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        raise PipelineError(f"pip {arguments[0]}: {' '.join(errors[-2:]) or done.stderr[-400:]}")
