"""What `make setup` installs: setup.cfg says what may be, constraints.txt what has been tested."""

import configparser
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]


def by_name(lines: str) -> dict[str, Requirement]:
    requirements = [
        Requirement(line) for line in lines.strip().splitlines() if not line.startswith("#")
    ]
    return {canonicalize_name(requirement.name): requirement for requirement in requirements}


def _requirements() -> dict[str, Requirement]:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    return by_name(setup["options"]["install_requires"] + setup["options.extras_require"]["dev"])


def test_every_requirement_has_a_newest_tested_version() -> None:
    constraints = by_name((ROOT / "constraints.txt").read_text(encoding="utf-8"))
    for name, requirement in _requirements().items():
        (newest,) = constraints[name].specifier
        assert newest.operator == "<=", name
        assert requirement.specifier.contains(newest.version), name
