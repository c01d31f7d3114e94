"""Options from requests, of real commands, whose functions are replaced or not called."""

import shlex
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from orn.cli import main
from orn.stage1_detect.detect_command import detect
from orn.stage1_detect.detect_request import DetectRequest, Scope


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--data=", "'--data': expected a path, got an empty string"),
        ("--precision bf8", "'--precision': expected one of 'float32', 'bfloat16'"),
        ("--workers 0", "'--workers': expected at least 1, got '0'"),
        ("--rate x", "'--rate': expected a number, got 'x'"),
        ("--part 1/2 --fresh", "--part and --fresh: expected one"),
    ],
)
def test_what_is_refused_names_the_option(words: str, message: str) -> None:
    refused = CliRunner().invoke(detect, f"vlog {words}".split())
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert message in refused.stderr


def test_a_printed_command_line_is_parsed_to_the_same_values() -> None:
    from orn.stage2_train.clip_store.clips_command import clips
    from orn.stage2_train.clip_store.clips_request import ClipsRequest
    from orn.stage2_train.evaluation.eval_command import evaluate
    from orn.stage2_train.evaluation.eval_request import EvalRequest
    from orn.stage2_train.settings.resources import WITH_WORKERS, TrainRequest
    from orn.stage2_train.training.train_command import train

    places = WITH_WORKERS.changed(data_root=Path("my data"), workers=0, partial=True)
    requests = {
        detect: DetectRequest(dataset="a", scope=Scope(rate=2.5), precision="bfloat16"),
        clips: ClipsRequest(manifest="a.toml", size=(64, 96), fresh=True),
        evaluate: EvalRequest(run="runs/a", num_clips=10, resources=places),
        train: TrainRequest(manifest="a", overrides=("a=[1,2]", "b='c d'"), resources=places),
    }
    for command, request in requests.items():
        seen: list[Any] = []
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(command, "function", lambda seen=seen, **given: seen.append(given))
            with pytest.raises(SystemExit):
                main(shlex.split(command.typed(request=request))[1:])
        assert seen[0]["request"] == request
