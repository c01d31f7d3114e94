from __future__ import annotations

from demo.detector.training import (
    augmentation_generator,
    frame_order,
    learning_rate,
    step_seed,
)


def test_every_epoch_has_every_frame_in_an_order_of_its_own() -> None:
    batches = frame_order(5, batch=2, seed=0, first=0)
    seen = [index for _ in range(5) for index in next(batches)]
    assert sorted(seen[:5]) == sorted(seen[5:]) == list(range(5))
    assert seen[:5] != seen[5:]
    assert next(frame_order(5, batch=2, seed=0, first=3)) == seen[6:8]
    other = frame_order(5, batch=2, seed=1, first=0)
    assert [index for _ in range(5) for index in next(other)] != seen


def test_learning_rate_rises_then_falls() -> None:
    rates = [learning_rate(step, highest=1.0, warmup=2, iterations=12) for step in range(12)]
    assert rates[:3] == [0.5, 1.0, 1.0]
    assert rates[2:] == sorted(rates[2:], reverse=True)
    assert rates[7] == 0.5  # halfway down
    assert 0 < rates[-1] < 0.05


def test_each_step_draws_its_own_numbers() -> None:
    draws = {step: augmentation_generator(3, step).random() for step in range(4)}
    assert len(set(draws.values())) == 4
    assert augmentation_generator(3, 2).random() == draws[2]
    assert len({step_seed(seed, step) for seed in range(2) for step in range(4)}) == 8
