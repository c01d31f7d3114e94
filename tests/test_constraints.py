"""What `make setup` installs: setup.cfg says what may be, constraints.txt what has been tested."""

import configparser
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]


def _requirements() -> dict[str, Requirement]:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    texts = setup["options"]["install_requires"] + setup["options.extras_require"]["dev"]
    requirements = [Requirement(line) for line in texts.strip().splitlines()]
    return {canonicalize_name(requirement.name): requirement for requirement in requirements}


def _constraints() -> dict[str, Requirement]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    requirements = [Requirement(line) for line in lines if not line.startswith("#")]
    return {canonicalize_name(requirement.name): requirement for requirement in requirements}


@pytest.mark.parametrize("name", sorted(_requirements()))
def test_every_requirement_has_a_newest_tested_version(name) -> None:
    (newest,) = _constraints()[name].specifier
    assert newest.operator == "<="
    assert _requirements()[name].specifier.contains(newest.version)
