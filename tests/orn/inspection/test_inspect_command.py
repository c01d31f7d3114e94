"""`orn inspect` and `orn verify`."""

from pathlib import Path

from tests.orn.inspection.conftest import write


def damage(shard: Path) -> None:
    data = bytearray(shard.read_bytes())
    data[len(data) // 3] ^= 0xFF
    shard.write_bytes(bytes(data))


def test_inspect_a_shard(orn, shard: Path, tmp_path: Path) -> None:
    assert "kitchen/a" in orn("inspect", shard).stdout
    assert orn("inspect", shard, "--json").json["frames"] == 5
    absent = tmp_path / "none.zarr.zip"
    for command in ("inspect", "verify"):
        assert str(absent) in orn(command, absent, exit_code=1).stderr


def test_verify_whole_and_damaged_shards(orn, shard: Path, monkeypatch) -> None:
    """Several processes report in the order that was asked, too."""
    for number in (1, 2):
        write(shard.parent / f"shard-00000{number}.zarr.zip", {})
    *notes, last = orn("verify", shard.parent).stdout.splitlines()
    assert last == "ok: 3 shards"
    assert all("note: video 'broken" in note for note in notes)
    payload = orn("verify", shard, shard.parent, "--json").json
    assert (payload["ok"], payload["shards"]) == (True, 3)
    assert {problem["severity"] for problem in payload["problems"]} == {"note"}
    damage(shard)
    alone = orn("verify", shard.parent, "--json", exit_code=1)
    assert alone.json["ok"] is False
    problem = alone.json["problems"][0]
    assert tuple(problem) == ("shard", "message", "severity")
    assert (problem["shard"], problem["severity"]) == (str(shard), "error")
    monkeypatch.setattr("orn.inspection.verify.ALONE_BYTES", 0)
    monkeypatch.setattr("orn.inspection.verify.usable_cores", lambda: 2)
    several = orn("verify", shard.parent, "--json", exit_code=1)
    assert several.stdout == alone.stdout
