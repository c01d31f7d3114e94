"""Probabilities of a long video, from all parts of a model."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import orn
from orn.prediction.film_prediction import predict_film
from orn.stage2_train.clip_store.frames_on_demand import DecodedVideo
from orn.stage2_train.intervals.decoder import fit_decoder
from orn.stage2_train.intervals.film_features import FilmInputs
from orn.stage2_train.intervals.film_head import FilmHeads
from orn.stage2_train.intervals.stored_film_head import FittedFilmHead
from orn.stage2_train.parts.temperatures import Temperatures
from tests.orn.prediction.conftest import first_video
from tests.worlds.films import LABELS, RATE


def test_the_head_over_time_has_its_share_in_the_probabilities(trained) -> None:
    model = orn.load_model(trained.run, device="cpu")
    clips = model.config.clips
    clips = replace(clips, frames=replace(clips.frames, rate=RATE), window_seconds=0.4)
    inputs = FilmInputs(
        followed=tuple(LABELS.tolist()),
        score_threshold=0.1,
        rate=RATE,
        map_channels=0,
        reads_motion=False,
    )
    torch.manual_seed(0)
    heads = FilmHeads(inputs.num_features, 2, multi_label=False).eval()
    decoder = fit_decoder([np.array([1, 0, 1])], [], 2)
    alone = replace(
        model,
        config=replace(model.config, clips=clips),
        temperatures=Temperatures(network=0.5, film=0.25, decoder=decoder),
    )
    whole = replace(alone, film_head=FittedFilmHead(heads=heads, inputs=inputs))
    with first_video(trained, model) as (video, detections):
        before, found = (predict_film(own, video, detections) for own in (alone, whole))
        frames = DecodedVideo(video, clips.frames)
        film_TA = heads.logits(inputs.of_film(frames, detections.video(video.id)))
    together_TA = np.exp((np.log(before.probabilities) + film_TA / 0.25) / 2)
    expected_TA = together_TA / together_TA.sum(axis=1, keepdims=True)
    assert found.probabilities == pytest.approx(expected_TA, abs=1e-4)
    assert np.abs(found.probabilities - before.probabilities).max() > 0.01
