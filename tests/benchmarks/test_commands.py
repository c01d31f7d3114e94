"""`orn bench`: each benchmark says what it measures."""

import click
import pytest
from click.testing import CliRunner

from orn.benchmarks import commands


@pytest.mark.parametrize(
    "name", [name for name, each in vars(commands).items() if isinstance(each, click.Command)]
)
def test_commands_say_what_they_measure(name: str) -> None:
    result = CliRunner().invoke(getattr(commands, name), ["--help"])
    assert result.exit_code == 0
    assert "ratio" in result.output or "reference" in result.output
    assert "--json" in result.output
