"""`orn bench`: what it lists, and that its help needs no torch."""

import subprocess
import sys

import pytest
from click.testing import CliRunner

from shared.cli import orn

NAMES = (
    "object-head",
    "train-step",
    "loader",
    "detect",
    "detect-overhead",
    "detect-memory",
    "shard-size",
    "scale",
)


@pytest.mark.parametrize("name", NAMES)
def test_commands_say_what_they_measure(name: str) -> None:
    result = CliRunner().invoke(orn, ["bench", name, "--help"])
    assert result.exit_code == 0
    assert "ratio" in result.output or "reference" in result.output
    assert "--json" in result.output
    assert name in CliRunner().invoke(orn, ["bench", "--help"]).output


def test_help_imports_no_torch() -> None:
    code = "import sys, benchmarks.commands; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0


def test_a_name_that_is_none_is_told() -> None:
    result = CliRunner().invoke(orn, ["bench", "traim-step"])
    assert result.exit_code == 2
    assert "did you mean 'train-step'?" in result.output
