"""The demo's jobs and places."""

from orn.demo.run import demo_jobs, demo_places


def test_demos_never_share_files() -> None:
    places = [demo_places(size, seed) for size in ("short", "standard", "full") for seed in (0, 1)]
    for kind in ("data", "shards", "clips", "run"):
        assert len({getattr(place, kind) for place in places}) == len(places)
    assert str(demo_places("standard", 0).summary) == "runs/demo/summary.json"


def test_the_steps_of_the_demo() -> None:
    jobs = demo_jobs(demo_places("short", 3), size="short", seed=3)
    assert [job.name for job in jobs] == [
        *("world", "check", "detect", "clips", "train", "eval", "report")
    ]
    assert jobs[4].typed.startswith("orn train demo --data data/short-seed-3 ")
