"""Every command of `orn`."""

import re
from collections.abc import Iterator

import click

from orn.cli import orn
from tests.conftest import ROOT

TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
UNKNOWN = "{}"
"""What stands for a value in a text."""
_OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*")


def all_commands() -> list[list[str]]:
    """The words of each command, `[]` for `orn` itself."""
    return [[], *(words.split() for words in orn.list_commands(click.Context(orn)))]


def wrong_words(words: str, options: str) -> Iterator[str]:
    """What does not hold of the words after `orn`, and of the options that are named in a text."""
    path = [word.rstrip(",:") for word in words.split()[:2]]
    if UNKNOWN in path:
        return
    command: click.Command | None = orn
    for name in (" ".join(path), path[0]):
        if path[0].startswith("-"):
            break
        if command := orn.get_command(click.Context(orn), name):
            break
    if command is None:
        yield f"orn {' '.join(path)}: there is no such command"
        return
    known = {option for parameter in command.params for option in parameter.opts} | {"--help"}
    for option in _OPTION.findall(options):
        if option not in known:
            yield f"orn {' '.join(path)} {option}: there is no such option"
