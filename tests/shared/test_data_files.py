"""Small files that are something else: refused in one sentence, never waited for or read whole."""

import os
from pathlib import Path

import pytest

from orn.shared.config.toml_files import parse_toml
from orn.shared.data_files import (
    MOST_BYTES,
    file_digest,
    read_json,
)
from orn.shared.errors import ConfigError, ShardFormatError
from tests.bounded import bounded


def test_keys_of_many_parts_take_no_time() -> None:
    assert bounded(_refusals_of_long_keys) == 12


def _refusals_of_long_keys() -> int:
    refused = 0
    for part in ("a", '"a"', "'a'", "a "):
        for line in ("{} = 1", "[{}]", "b = {{ {} = 1 }}"):
            with pytest.raises(ConfigError, match="nested too deeply"):
                parse_toml(line.format(".".join([part] * 100_000)), where="x")
            refused += 1
    return refused


def test_the_largest_json_stays_small_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"[" + b"{}," * (MOST_BYTES // 3 - 2) + b"{}]")
    assert bounded(_count, path) == MOST_BYTES // 3 - 1


def _count(path: Path) -> int:
    return len(read_json(path))


def test_the_digest_of_a_file_is_that_of_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"abc")  # FIPS 180-2 has the digest of these
    assert file_digest(tmp_path / "x") == (
        "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ShardFormatError, match="pipe: expected a file, got a pipe"):
        bounded(file_digest, tmp_path / "pipe", error=ShardFormatError)
