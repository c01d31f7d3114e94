"""The demo's jobs and folders."""

from orn.demo.demo_commands import demo_pipeline, demo_steps


def test_demos_never_share_files() -> None:
    lines = [demo_pipeline(seed) for seed in (0, 1)]
    for kind in ("data_root", "shards", "clips", "run"):
        assert len({getattr(line, kind) for line in lines}) == len(lines)
    assert str(demo_pipeline(0).run) == "runs/demo"


def test_the_steps_of_the_demo() -> None:
    steps = demo_steps(3)
    names = "world check detect clips train eval baseline report page film"
    assert [step.name for step in steps] == names.split()
    assert steps[4].typed.startswith("orn train demo --data data/seed-3 ")
