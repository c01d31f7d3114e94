"""Manifest files: what is refused, and which key, value and remedy are named."""

import re
from pathlib import Path

import pytest

from orn.data_manifests.load import load_manifest
from orn.shared.errors import ManifestError

FRAMES = 'form = "frames"'
LABELS = "[labels]"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("clip_frames =", "clip_frame =", "'clip_frame'.*'clip_frames'"),
        ('"single-label"', '"multi-label"', "metric: expected 'map' .*, got 'top1'"),
        ('form = "clips"', FRAMES, r"videos\.rate"),
        ("[labels]", "rate = 60\n[labels]", r"videos\.rate"),
        *(
            (LABELS, f'[detector]\nconfig = "{name}"\n{LABELS}', r"detector\.config: .* --config")
            for name in ("../x", "x.py", "")
        ),
        *(
            ("videos/{id}.mp4", pattern, r"videos\.pattern: expected a path")
            for pattern in ("/v/{id}", "../{id}", "v/x.mp4", "{id.real}", "{id}{")
        ),
    ],
)  # fmt: skip
def test_refusals(mine: Path, old: str, new: str, message: str) -> None:
    text = mine.read_text()
    assert old in text
    mine.write_text(text.replace(old, new, 1))
    with pytest.raises(ManifestError, match=f"^{re.escape(str(mine))}: .*{message}"):
        load_manifest(mine)


@pytest.mark.parametrize("path", ["/etc", "../other", "a/../../b", "", "a\\u0000b", "a\\nb"])
@pytest.mark.parametrize("key", ["root", "table", "classes"])
def test_paths_that_would_leave_the_data_root_are_refused(mine: Path, key: str, path: str) -> None:
    text = mine.read_text()
    mine.write_text(re.sub(f"^{key} = .*$", lambda _: f'{key} = "{path}"', text, flags=re.M))
    with pytest.raises(ManifestError, match=f"{key}: expected a path"):
        load_manifest(mine)
