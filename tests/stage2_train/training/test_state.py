"""Where a training stands."""

import json

import pytest

from shared.errors import CheckpointError
from stage2_train.training.state import TrainingState


def test_epochs_are_counted_in_batches() -> None:
    state = TrainingState()
    ends = [state.advance(2, num_batches=5, num_phase_steps=4) for _ in range(2)]
    assert (ends, state.epoch, state.batch) == ([False, False], 0, 4)
    assert state.advance(1, num_batches=5, num_phase_steps=4)
    assert (state.epoch, state.batch, state.step, state.phase_over) == (1, 0, 3, False)
    state.advance(2, num_batches=5, num_phase_steps=4)
    assert state.phase_over


def test_a_phase_begins_with_an_epoch() -> None:
    state = TrainingState(epoch=3, batch=2, step=9, phase_step=9, phase_over=True, best_metric=0.5)
    state.begin_phase(1)
    assert (state.phase, state.epoch, state.batch, state.phase_step) == (1, 4, 0, 0)
    assert (state.step, state.phase_over, state.best_metric) == (9, False, None)
    state = TrainingState(epoch=3, batch=0)
    state.begin_phase(1)
    assert state.epoch == 3


def test_finished() -> None:
    assert TrainingState().is_finished(0)
    assert not TrainingState().is_finished(1)
    assert not TrainingState(phase=0, phase_over=True).is_finished(2)
    assert TrainingState(phase=1, phase_over=True).is_finished(2)


def test_best_metric_and_patience() -> None:
    state = TrainingState(step=1)
    assert state.note_metric(0.0, patience=2)
    state.step = 2
    assert not state.note_metric(0.0, patience=2)
    assert state.note_metric(0.1, patience=2)
    assert (state.best_metric, state.best_step, state.num_worse) == (0.1, 2, 0)
    state.note_metric(0.1, patience=2)
    assert not state.phase_over
    state.note_metric(0.05, patience=2)
    assert state.phase_over
    patient = TrainingState(best_metric=1.0)
    for _ in range(50):
        patient.note_metric(0.5, patience=None)
    assert not patient.phase_over


def test_means() -> None:
    state = TrainingState()
    state.add({"loss": 1.0})
    state.add({"loss": 2.0})
    assert state.take_means() == {"loss": 1.5}
    assert (state.sums, state.num_summed) == ({}, 0)


def test_plain_values_and_back() -> None:
    state = TrainingState(step=3, best_metric=0.5, sums={"loss": 1.0}, num_summed=2)
    values = json.loads(json.dumps(state.to_dict()))
    assert TrainingState.from_dict(values, source="x") == state
    del values["step"]
    with pytest.raises(CheckpointError, match=r"last\.pt: wanted a training state of .*'step'"):
        TrainingState.from_dict(values, source="last.pt")
