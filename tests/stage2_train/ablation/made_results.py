"""Results of runs that never were."""

from orn.stage2_train.ablation.results import RunResult


def made_results(
    percents: dict[str, tuple[float, ...]], *, value: str = "", setting: str = "", **figures: float
) -> list[RunResult]:
    """One a seed of each system; all have these figures of the whole run."""
    return [
        RunResult(
            dataset="demo",
            split="test",
            run=f"runs/{system}/{value}/seed{seed}",
            commit="abc",
            threads="1",
            system=system,
            seed=seed,
            setting=setting,
            value=value,
            figures={
                ("two_heads", "top1"): percent / 100,
                ("", "chance"): 0.08,
                ("", "num_segments"): 100.0,
                **{("", name): figure for name, figure in figures.items()},
            },
        )
        for system, own in percents.items()
        for seed, percent in enumerate(own)
    ]
