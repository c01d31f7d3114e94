"""Options from requests, of real commands, whose functions are replaced or not called."""

import shlex
from pathlib import Path
from typing import Any

import pytest

from orn.cli import main


def test_a_printed_command_line_is_parsed_to_the_same_values() -> None:
    from orn.stage2_train.clip_store.clips_command import clips
    from orn.stage2_train.clip_store.clips_request import ClipsRequest
    from orn.stage2_train.evaluation.eval_command import evaluate
    from orn.stage2_train.evaluation.eval_request import EvalRequest
    from orn.stage2_train.settings.resources import WITH_WORKERS, TrainRequest
    from orn.stage2_train.training.train_command import train

    places = WITH_WORKERS.changed(data_root=Path("my data"), workers=0, partial=True)
    requests = {
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
