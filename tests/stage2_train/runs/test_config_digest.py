"""A configuration that changed after its training is not read in silence."""

import random
from pathlib import Path

import pytest

from orn.shared.errors import PipelineError
from orn.stage2_train.runs.run_folder import config_digest
from tests.running import LAPTOP, run_orn
from tests.worlds.films import words_of

COMMANDS = ("eval", "report", "predict", "export", "compare", "train")


def _orn(command: str, run: Path, options: dict[str, str]) -> tuple[int, str]:
    """Runs a command that reads the configuration of a run; the exit code and what it says."""
    more: dict[str, tuple[object, ...]] = {
        "eval": LAPTOP,
        "report": LAPTOP,
        "predict": (Path(options["--data"]) / "tiny" / "film" / "0.mp4", "--device", "cpu"),
        "export": (run.parent / "out",),
        "compare": (run,),
    }
    if command == "train":
        ran = run_orn("train", *words_of(options | {"--run": str(run)}), exit_code=None)
    else:
        ran = run_orn(command, run, *more[command], exit_code=None)
    return ran.exit_code, " ".join(ran.stderr.split())


@pytest.mark.parametrize("number", [6, pytest.param(200, marks=pytest.mark.slow)])
def test_no_flipped_bit_is_read_in_silence(number: int, one_step: Path, trained_once) -> None:
    config = one_step / "config.json"
    whole, digest = config.read_bytes(), config_digest(one_step)
    paths, draws = whole.index(b'"recorded_paths"'), random.Random(0)
    for turn in range(number):
        flipped = bytearray(whole)
        place = draws.randrange(paths)
        flipped[place] ^= 1 << draws.randrange(8)
        config.write_bytes(flipped)
        try:
            if config_digest(one_step) == digest:  # another kind of blank
                continue
        except PipelineError:
            pass
        code, message = _orn(COMMANDS[turn % len(COMMANDS)], one_step, trained_once)
        assert code in (1, 2) and "config.json" in message, (place, message)
    assert not (one_step.parent / "out").exists()
