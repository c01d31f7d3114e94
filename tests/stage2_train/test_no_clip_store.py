"""Training and evaluation that decode their clips from the videos."""

import json
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
from click.testing import CliRunner, Result

from orn.shared.cli import orn
from orn.shared.video.read import content_digest
from tests.worlds.films import make_workspace, write_films_shard


def run_train(options: dict[str, str]) -> Result:
    """`orn train` without a clip store."""
    flags = [part for name in options if name != "manifest" for part in (name, options[name])]
    arguments = ["train", options["manifest"], *flags, "--json", "--no-clip-store"]
    return CliRunner().invoke(orn, arguments)


def run_eval(options: dict[str, str]) -> Result:
    """`orn eval` of the run."""
    arguments = ["eval", options["--run"], "--workers", "0", "--device", "cpu", "--json"]
    return CliRunner().invoke(orn, arguments)


def test_train_and_eval_without_a_clip_store(tiny_world, tmp_path) -> None:
    """On real videos, since here they are opened."""
    options = make_workspace(tiny_world, tmp_path)
    films = []
    for film in tiny_world.films.values():
        path = Path(options["--data"]) / "tiny" / f"{film.id}.mp4"
        images = [film.image(frame) for frame in range(len(film.boxes_FN4))]
        write_video(path, images)
        films.append(replace(film, digest=content_digest(path)))
    write_films_shard(tmp_path / "shards" / "shard-000000.zarr.zip", films)
    options["--shards"] = str(tmp_path / "shards")
    result = run_train(options)
    assert result.exit_code == 2
    assert "--clips and --no-clip-store" in result.stderr
    del options["--clips"]
    result = run_train(options)
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["finished"]
    assert "no clip store: each clip is decoded from its video" in result.stderr
    assert 'clips = "none"' in (Path(options["--run"]) / "config.toml").read_text()
    result = run_eval(options)
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["num_segments"] == 4


def write_video(path: Path, images: list[np.ndarray]) -> None:
    """A video of ten frames a second."""
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for image in images:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
