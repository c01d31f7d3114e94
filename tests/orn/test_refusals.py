"""What commands refuse: one table of bad inputs a command, in this process."""

import pytest
from click.testing import CliRunner

from orn.cli import orn

REFUSED = {
    "detect vlog": [
        ("--data=", "'--data': expected a path, got an empty string"),
        ("--precision bf8", "'--precision': expected one of fp32, bf16, got 'bf8'"),
        ("--workers 0", "'--workers': 0 is not in the range"),
        ("--rate x", "'--rate': 'x' is not a valid float"),
        ("--share 5/4", "'--share': expected K/N with K from 1 to N"),
        ("--share 1/2 --fresh", "--share and --fresh: expected one"),
    ],
}


@pytest.mark.parametrize("words", REFUSED)
def test_what_is_refused_names_the_option(words: str) -> None:
    for options, message in REFUSED[words]:
        refused = CliRunner().invoke(orn, [*words.split(), *options.split()])
        assert (refused.exit_code, refused.stdout) == (2, ""), options
        assert message in " ".join(refused.stderr.split())
