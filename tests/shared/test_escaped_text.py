"""What commands print: JSON, and settings for a person."""

import json
import math

import pytest

from orn.commands import output
from orn.shared import escaped_text


def test_json_has_no_numbers_that_json_lacks() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        output.echo_json({"loss": math.nan})


@pytest.mark.parametrize("name", ["\udcff.mp4", "\x7f\x9b1m\x1b[1m", "küche \U000e0001 \u202e"])
def test_json_of_any_name_can_be_printed_and_read(name: str) -> None:
    text = escaped_text.json_text({"path": name})
    assert json.loads(text.encode()) == {"path": name}
    assert text.isprintable()
