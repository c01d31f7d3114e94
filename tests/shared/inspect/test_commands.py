"""`orn inspect` and `orn verify`."""

from pathlib import Path

from tests.shared.inspect.conftest import write
from tests.worlds.tables import write_table


def damage(shard: Path) -> None:
    data = bytearray(shard.read_bytes())
    data[len(data) // 3] ^= 0xFF
    shard.write_bytes(bytes(data))


def test_inspect_a_shard_and_a_frame(orn, shard: Path) -> None:
    assert "kitchen/a" in orn("inspect", shard).stdout
    assert orn("inspect", shard, "--json").json["frames"] == 5
    frame = ("--video", "kitchen/a", "--frame", 5)
    assert "frame 5" in orn("inspect", shard, *frame).stdout
    assert orn("inspect", shard, "--video", "b", "--json").json["frame"] == 5


def test_inspect_the_only_shard_of_a_folder(orn, shard: Path) -> None:
    orn("inspect", shard.parent)
    write(shard.parent / "shard-000001.zarr.zip", {})
    said = orn("inspect", shard.parent, exit_code=1).stderr
    assert f"holds 2 shards; name one, such as {shard}" in said


def test_verify_whole_shards(orn, shard: Path) -> None:
    write(shard.parent / "shard-000001.zarr.zip", {})
    *notes, last = orn("verify", shard.parent).stdout.splitlines()
    assert last == "ok: 2 shards"
    assert all("note: video 'broken" in note for note in notes)
    payload = orn("verify", shard, shard.parent, "--json").json
    assert (payload["ok"], payload["shards"]) == (True, 2)
    assert {problem["severity"] for problem in payload["problems"]} == {"note"}


def test_verify_a_damaged_shard(orn, shard: Path) -> None:
    damage(shard)
    told = orn("verify", shard, exit_code=1).stdout
    assert told.startswith(f"{shard}: ")
    assert "ok" not in told.split()
    payload = orn("verify", shard, "--json", exit_code=1).json
    assert payload["ok"] is False
    (problem,) = payload["problems"]
    assert tuple(problem) == ("shard", "message", "severity")
    assert (problem["shard"], problem["severity"]) == (str(shard), "error")


def test_several_processes_verify_in_the_order_that_was_asked(
    orn, shard: Path, monkeypatch
) -> None:
    for number in (1, 2):
        write(shard.parent / f"shard-00000{number}.zarr.zip", {})
    damage(shard)
    alone = orn("verify", shard.parent, "--json", "--workers", 1, exit_code=1)
    monkeypatch.setattr("orn.shared.shards.verify.ALONE_BYTES", 0)
    several = orn("verify", shard.parent, "--json", "--workers", 2, exit_code=1)
    assert several.stdout == alone.stdout


def test_inspect_and_verify_at_once(orn, shard: Path) -> None:
    whole = orn("inspect", shard, "--verify")
    assert "kitchen/a" in whole.stdout
    assert f"{shard}: whole" in whole.stderr
    assert orn("inspect", shard, "--verify", "--json").json["frames"] == 5
    damage(shard)
    damaged = orn("inspect", shard, "--verify", exit_code=1)
    assert damaged.stdout == orn("verify", shard, exit_code=1).stdout
    assert orn("inspect", shard, "--verify", "--json", exit_code=1).json["ok"] is False


def test_verify_against_a_data_set(orn, shard: Path, tmp_path: Path) -> None:
    rows = ("video,label", "b,x", "c,x", "d,x")
    manifest = write_table(tmp_path, "mine", rows, classes=("x",), pattern="{id}.mp4")
    for name in ("b", "c"):
        (tmp_path / "data" / "mine" / f"{name}.mp4").write_bytes(b"x" * 1000)
    arguments = ("--dataset", manifest, "--data", tmp_path / "data")
    problems = orn("verify", shard.parent, *arguments, "--json", exit_code=1).json["problems"]
    faults = [each for each in problems if each["severity"] == "error"]
    assert [each["message"].partition(":")[0] for each in faults] == [
        *("video 'kitchen/a'", "video 'c'")
    ]
    orn("verify", shard, *arguments)  # a shard alone is no folder
    assert "shards/mine" in orn("verify", *arguments, exit_code=1).stderr


def test_what_is_not_there(orn, tmp_path: Path) -> None:
    for command in ("inspect", "verify"):
        said = orn(command, tmp_path / "none.zarr.zip", exit_code=1).stderr
        assert str(tmp_path / "none.zarr.zip") in said
    orn("verify", exit_code=2)
