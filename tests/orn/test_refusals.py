"""What commands refuse: one table of bad inputs a command, in this process."""

import pytest
from click.testing import CliRunner

from orn.cli import orn

REFUSED = {
    "": [
        ("trian", "'trian'; did you mean 'train'?"),
        ("manifest chek", "'manifest chek'; did you mean 'manifest check'?"),
        ("manifest", "'manifest'; did you mean 'manifest new'?"),
    ],
    "detect vlog": [
        ("--data=", "'--data': expected a path, got an empty string"),
        ("--precision bf8", "'--precision': expected one of fp32, bf16, got 'bf8'"),
        ("--workers 0", "'--workers': 0 is not in the range"),
        ("--rate x", "'--rate': 'x' is not a valid float"),
        ("--share 5/4", "'--share': expected K/N with K from 1 to N"),
        ("--share 1/2 --fresh", "--share and --fresh: expected one"),
        ("--engine ray --device cuda:1", "Ray assigns GPUs"),
    ],
    "clips vlog": [
        ("--size 12", "'--size': expected HEIGHTxWIDTH, such as 256x256, got '12'"),
        ("--backbone resnet99", "--backbone: expected resnet18, resnet50"),
        ("--clip-frames 8 --rate 5", "--clip-frames excludes --rate"),
    ],
    "import-objects vlog masks": [("", "Missing option '--format'")],
    "import-objects vlog masks --format authors": [("--rate 30", "--rate: does not apply")],
    "import-objects vlog masks --format csv": [
        ("--groups", "--groups: does not apply to the format csv; omit it"),
    ],
    "train vlgo": [("", "vlgo")],
    "manifest update absent.csv": [("", "orn manifest new")],
    "predict run": [("b.mp4 c.mp4 --overlay out.mp4", "expected a folder for 2 videos")],
    "train demo": [
        ("--from runs/a --weights b", "--from and --weights: expected at most one"),
        ("--from runs/a --run runs/a", "--from: expected another run than --run"),
    ],
    "predict runs/a": [("", "Missing argument 'VIDEO...'")],
    "predict runs/a b.mp4": [
        ("--html a.txt", "--html: expected OUT.html or FOLDER, got a.txt"),
        ("--objects a", "--objects and --format require each other; pass both"),
    ],
    "verify": [("", "Missing argument 'SHARD|FOLDER...'")],
    "ablate demo": [("", "--table and --systems: expected one of them, got neither")],
    "inspect a": [
        ("--overlay a.png", "--overlay: expected OUT.mp4, got a.png"),
        ("--video b", "pass --overlay OUT.mp4"),
    ],
    "manifest new a.csv": [
        ("--split 80/20 --folds 3", "--split and --folds: expected at most one"),
    ],
    "run a.toml": [
        ("--objects gone.csv --format csv", "--objects: expected a file or folder, got none"),
    ],
    "run vlog --yes": [("--intervals", "intervals")],
    "run wrong/path.csv --dry-run": [("", "wrong/path.csv: expected a table of labels")],
}


@pytest.mark.parametrize("words", REFUSED)
def test_what_is_refused_names_the_option(words: str) -> None:
    for options, message in REFUSED[words]:
        refused = CliRunner().invoke(orn, [*words.split(), *options.split()])
        assert (refused.exit_code, refused.stdout) == (2, ""), options
        assert message in " ".join(refused.stderr.split())
