"""`orn inspect` and `orn verify`."""

import json
from pathlib import Path

from click.testing import CliRunner, Result

from shared.cli import orn
from tests.shared.inspect.conftest import write


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(orn, [str(argument) for argument in arguments])


def damage(shard: Path) -> None:
    data = bytearray(shard.read_bytes())
    data[len(data) // 3] ^= 0xFF
    shard.write_bytes(bytes(data))


def test_inspect_a_shard(shard: Path) -> None:
    result = run("inspect", shard)
    assert result.exit_code == 0
    assert "kitchen/a" in result.stdout
    assert json.loads(run("inspect", shard, "--json").stdout)["frames"] == 5


def test_inspect_a_frame(shard: Path) -> None:
    result = run("inspect", shard, "--video", "kitchen/a", "--frame", "5")
    assert result.stdout.startswith("kitchen/a  frame 5")
    payload = json.loads(run("inspect", shard, "--video", "b", "--json").stdout)
    assert payload["frame"] == 5


def test_inspect_the_only_shard_of_a_folder(shard: Path) -> None:
    assert run("inspect", shard.parent).exit_code == 0
    write(shard.parent / "shard-000001.zarr.zip", {})
    result = run("inspect", shard.parent)
    assert result.exit_code == 1
    assert f"holds 2 shards; name one, such as {shard}" in result.stderr


def test_inspect_what_is_not_there(tmp_path: Path) -> None:
    result = run("inspect", tmp_path / "none.zarr.zip")
    assert result.exit_code == 1
    assert result.stderr.startswith("orn: error: ")
    assert str(tmp_path / "none.zarr.zip") in result.stderr


def test_verify_whole_shards(shard: Path) -> None:
    write(shard.parent / "shard-000001.zarr.zip", {})
    result = run("verify", shard.parent)
    assert (result.exit_code, result.stdout) == (0, "ok: 2 shards\n")
    assert run("verify", shard).stdout == "ok: 1 shard\n"
    payload = json.loads(run("verify", shard, shard.parent, "--json").stdout)
    assert payload == {"ok": True, "shards": 2, "problems": []}


def test_verify_a_damaged_shard(shard: Path) -> None:
    damage(shard)
    result = run("verify", shard)
    assert result.exit_code == 1
    assert result.stdout.startswith(f"{shard}: ")
    assert "ok" not in result.stdout.split()
    payload = json.loads(run("verify", shard, "--json").stdout)
    assert payload["ok"] is False
    assert payload["problems"][0]["shard"] == str(shard)
    assert payload["problems"][0]["message"]


def test_verify_what_is_not_there(shard: Path) -> None:
    result = run("verify", shard.parent / "none")
    assert result.exit_code == 1
    assert "none" in result.stderr
    assert run("verify").exit_code == 2
