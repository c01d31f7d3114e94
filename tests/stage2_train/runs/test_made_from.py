"""Any content of a file is a record of what an output was made from, or none: the output is made
again."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orn.shared.errors import CheckpointError
from orn.stage2_train.parts import TEMPERATURES_NAME
from orn.stage2_train.parts.temperatures import (
    NOT_FITTED,
    Temperatures,
    load_temperatures,
    write_temperatures,
)
from orn.stage2_train.runs.made_from import in_page, recorded_inputs, why_stale
from tests.bounded import bounded

INPUTS = {"config": "a", "labels": "b", "outputs": {"eval-test.json": "c"}}
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.sampled_from([*INPUTS]), inner),
)
DEEP = "[" * 100_000
CONTENTS = ["", "{", DEEP, '{"outputs": ' + DEEP, '{"outputs": [1]}', "[]", "1e999", "\x00" * 99]


def answers(folder: Path, content: str) -> list[str | None]:
    """Return why outputs with a content are stale."""
    (folder / "made_from.json").write_text(content, errors="surrogatepass")
    page = folder / "report.html"
    page.write_text(f"<p>{in_page({})}<!-- made from {content} -->\n", errors="surrogatepass")
    (folder / TEMPERATURES_NAME).write_text(content, errors="surrogatepass")
    outputs = (folder, page, folder / TEMPERATURES_NAME)
    return [why_stale(output, INPUTS) for output in outputs]


def all_answers(folder: Path) -> list[list[str | None]]:
    return [answers(folder, content) for content in CONTENTS]


def test_contents_of_other_types_are_no_record_within_bounds(tmp_path) -> None:
    for content, found in zip(CONTENTS, bounded(all_answers, tmp_path), strict=True):
        assert None not in found, content[:20]


@pytest.mark.slow
@given(value=ANY)
def test_any_json_is_a_record_or_none(tmp_path_factory, value) -> None:
    folder = tmp_path_factory.mktemp("any")
    content = json.dumps(value)
    assert None not in answers(folder, content) or value == INPUTS
    with pytest.raises(CheckpointError):
        load_temperatures(folder / TEMPERATURES_NAME)


@pytest.mark.slow
@given(value=st.dictionaries(st.text(), ANY))
def test_temperatures_with_any_inputs_are_read_as_written(tmp_path_factory, value) -> None:
    folder = tmp_path_factory.mktemp("any")
    written = Temperatures(network=2.0, num_segments=40, made_from=json.loads(json.dumps(value)))
    try:
        write_temperatures(folder, written)
    except ValueError:  # NaN is no JSON
        return
    read = load_temperatures(folder / TEMPERATURES_NAME)
    assert (read.network, read.num_segments) == (2.0, 40)
    recorded = recorded_inputs(folder / TEMPERATURES_NAME)
    assert recorded is None or recorded == read.made_from
    assert NOT_FITTED.num_segments == 0
