"""`orn export`: what the folder predicts, says and refuses."""

from dataclasses import replace

import pytest

from orn.stage2_train.runs.run_config import read_config
from tests.orn.prediction.conftest import predict, validation
from tests.running import run_orn
from tests.worlds.films import write_signed


@pytest.mark.parametrize("name", ["evil.py", "imported objects, format coco"])
def test_a_configuration_that_a_stranger_names_is_not_run(trained, tmp_path, name) -> None:
    """As Python files, which configurations of detectors are; imported objects have none."""
    ran, moved = tmp_path / "ran", tmp_path / "moved"
    run_orn("export", trained.run, moved)
    (moved / "evil.py").write_text(f"open({str(ran)!r}, 'w')\n")
    config = read_config(moved)
    detector = replace(
        config.detector, config_name=f"{moved / name}" if name == "evil.py" else name
    )
    write_signed(moved, replace(config, detector=detector))
    message = predict(trained, validation(trained)[0], "--any-detector", model=moved, exit_code=1)
    assert "--shards FOLDER, or --config" in message.stderr
    assert not ran.exists()
