"""`orn inspect` and `orn verify`."""

import json
from pathlib import Path

from click.testing import CliRunner, Result

from orn.shared.cli import orn
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
    assert result.exit_code == 0
    *notes, last = result.stdout.splitlines()
    assert last == "ok: 2 shards"
    assert all("note: video 'broken" in note for note in notes)
    assert run("verify", shard).stdout == "ok: 1 shard\n"
    payload = json.loads(run("verify", shard, shard.parent, "--json").stdout)
    assert (payload["ok"], payload["shards"]) == (True, 2)
    assert {problem["severity"] for problem in payload["problems"]} == {"note"}


def test_verify_a_damaged_shard(shard: Path) -> None:
    damage(shard)
    result = run("verify", shard)
    assert result.exit_code == 1
    assert result.stdout.startswith(f"{shard}: ")
    assert "ok" not in result.stdout.split()
    payload = json.loads(run("verify", shard, "--json").stdout)
    assert payload["ok"] is False
    assert payload["problems"][0]["shard"] == str(shard)
    (problem,) = payload["problems"]
    keys = ("shard", "array", "place", "wanted", "found", "more", "severity", "message")
    assert tuple(problem) == keys
    assert problem["wanted"] == f"a whole {'array' if problem['array'] else 'shard'}"
    assert problem["severity"] == "error"


def test_several_processes_verify_in_the_order_that_was_asked(shard: Path, monkeypatch) -> None:
    for number in (1, 2):
        write(shard.parent / f"shard-00000{number}.zarr.zip", {})
    damage(shard)
    alone = run("verify", shard.parent, "--json", "--workers", "1")
    monkeypatch.setattr("orn.shared.shards.verify._ALONE_BYTES", 0)
    several = run("verify", shard.parent, "--json", "--workers", "2")
    assert (several.exit_code, several.stdout) == (alone.exit_code, alone.stdout)
    assert alone.exit_code == 1


def test_inspect_and_verify_at_once(shard: Path) -> None:
    whole = run("inspect", shard, "--verify")
    assert whole.exit_code == 0
    assert "kitchen/a" in whole.stdout
    assert f"{shard}: whole" in whole.stderr
    assert json.loads(run("inspect", shard, "--verify", "--json").stdout)["frames"] == 5
    damage(shard)
    damaged = run("inspect", shard, "--verify")
    assert damaged.exit_code == 1
    assert damaged.stdout == run("verify", shard).stdout
    assert json.loads(run("inspect", shard, "--verify", "--json").stdout)["ok"] is False


def test_verify_against_a_data_set(shard: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    for name in ("b", "c"):
        (tmp_path / "mine" / f"{name}.mp4").write_bytes(b"x" * 1000)
    (tmp_path / "mine" / "labels.csv").write_text("video,label\nb,x\nc,x\nd,x\n")
    (tmp_path / "mine.toml").write_text(
        'name = "mine"\ntitle = "Mine"\nform = "clips"\ntask = "single-label"\nmetric = "top1"\n'
        'clip_frames = 4\nroot = "mine"\n[videos]\npattern = "{id}.mp4"\n[labels]\n'
        'format = "table"\ntable = "labels.csv"\nclasses = "classes.txt"\n'
    )
    arguments = ("--dataset", tmp_path / "mine.toml", "--data", tmp_path)
    result = run("verify", shard.parent, *arguments, "--json")
    assert result.exit_code == 1
    faults = [each for each in json.loads(result.stdout)["problems"] if each["severity"] == "error"]
    assert [(each["place"], each["found"]) for each in faults] == [
        ("video 'kitchen/a'", "one that it does not"),
        ("video 'c'", "none in any shard"),
    ]
    assert run("verify", shard, *arguments).exit_code == 0  # a shard alone is no folder
    alone = run("verify", *arguments)
    assert alone.exit_code == 1
    assert "shards/mine" in alone.stderr


def test_verify_what_is_not_there(shard: Path) -> None:
    result = run("verify", shard.parent / "none")
    assert result.exit_code == 1
    assert "none" in result.stderr
    assert run("verify").exit_code == 2
