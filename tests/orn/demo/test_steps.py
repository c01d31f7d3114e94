"""The demo's jobs and folders."""

from orn.demo.demo_commands import demo_jobs, demo_pipeline


def test_demos_never_share_files() -> None:
    lines = [demo_pipeline(seed) for seed in (0, 1)]
    for kind in ("data_root", "shards", "clips", "run"):
        assert len({getattr(line, kind) for line in lines}) == len(lines)
    assert str(demo_pipeline(0).run) == "runs/demo"


def test_the_steps_of_the_demo() -> None:
    jobs = demo_jobs(3)
    names = "world check detect clips train eval baseline report page film"
    assert [job.name for job in jobs] == names.split()
    assert jobs[4].typed.startswith("orn train demo --data data/seed-3 ")
