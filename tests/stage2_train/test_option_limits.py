"""Every number that a command takes has limits, which its refusal names."""

import re
from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from orn.shared.cli import orn

COMMANDS = ("train", "eval", "ablate", "clips", "overlay", "detect", "export-coco", "wheelhouse")


def numbers(command: click.Command) -> Iterator[click.Parameter]:
    for option in command.params:
        if isinstance(option.type, click.types.IntParamType | click.types.FloatParamType):
            yield option


@pytest.mark.parametrize("name", COMMANDS)
def test_numbers_have_limits(name: str) -> None:
    command = orn.get_command(click.Context(orn), name)
    options = list(numbers(command))
    assert options
    for option in options:
        for value in ("1" + "0" * 23, "-1", "nan", "inf"):
            result = CliRunner().invoke(orn, [name, "demo", f"{option.opts[0]}={value}"])
            assert result.exit_code == 2, (option.opts, value, result.output)
            assert f"Invalid value for '{option.opts[0]}'" in result.output
            assert re.search(r"is not in the range [\d.]+<|is not a valid integer", result.output)


@pytest.mark.parametrize("size", ["4097x16", "16x99999999999999999999", "0x16", "-1x16"])
def test_sizes_of_stored_frames_have_limits(size: str) -> None:
    result = CliRunner().invoke(orn, ["clips", "demo", f"--size={size}"])
    assert result.exit_code == 2
    assert "Invalid value for '--size': wanted" in result.output
