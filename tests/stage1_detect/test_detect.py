from pathlib import Path

import av

from orn.data_manifests.load import load_dataset
from tests.stage1_detect.fake_jobs import run_fake


def test_videos_that_fall_short_of_their_header_are_counted(world: Path, tmp_path: Path) -> None:
    dataset = load_dataset(world, world.parent / "data", labels=False)
    path = dataset.videos[1].path
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    content = bytearray(path.read_bytes())
    for packet in packets[10:]:
        assert packet.pos is not None
        content[packet.pos : packet.pos + packet.size] = bytes(packet.size)
    path.write_bytes(content)
    summary = run_fake(dataset, tmp_path / "shards")
    assert summary["short"] == ["b"]
