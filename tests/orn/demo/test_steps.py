"""The demo's jobs and folders."""

from pathlib import Path

from orn.demo.demo_steps import demo_pipeline, demo_steps


def test_demos_never_share_files() -> None:
    lines = [demo_pipeline(seed) for seed in (0, 1)]
    folders = [(line.data_root, line.objects.out, line.clips.out, line.run) for line in lines]
    assert len({*folders[0], *folders[1]}) == 8
    assert str(demo_pipeline(0).run) == "runs/demo"


def test_the_steps_of_the_demo() -> None:
    steps = demo_steps(3)
    names = "world check detect check-objects clips train calibrate eval baseline report page film"
    assert [step.name for step in steps] == names.split()
    assert steps[5].config.resources.data_root == Path("data/seed-3")


def test_training_and_clips_of_a_demo_determine_what_remains(tmp_path, monkeypatch) -> None:
    """Their outputs exist before they are finished."""
    monkeypatch.chdir(tmp_path)
    for name in ("clips/demo", "runs/demo"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "runs/demo/model.safetensors").touch()
    assert {step.name for step in demo_steps(0) if not step.is_current()} >= {"clips", "train"}
