"""Colours as networks take them."""

import torch

from orn.stage2_train.model.inputs import FrameNormaliser


def test_frames_and_videos_of_several_clips() -> None:
    generator = torch.Generator().manual_seed(0)
    frames = torch.randint(0, 256, (2, 3, 3, 4, 5), generator=generator, dtype=torch.uint8)
    mean, std = (0.5, 0.25, 0.125), (0.5, 2.0, 4.0)
    normalise = FrameNormaliser(mean=mean, std=std)
    folded, video = normalise(frames), normalise.video(frames)
    assert folded.is_contiguous(memory_format=torch.channels_last)
    assert video.is_contiguous()
    for clip in range(2):
        for time in range(3):
            for colour in range(3):
                expected = (frames[clip, time, colour].float() / 255 - mean[colour]) / std[colour]
                assert torch.equal(folded[3 * clip + time, colour], expected)
                assert torch.equal(video[clip, colour, time], expected)


def test_imagenets_colours_and_nothing_to_learn_or_to_save() -> None:
    normalise = FrameNormaliser()
    grey = torch.full((1, 1, 3, 1, 1), 51, dtype=torch.uint8)
    expected = torch.tensor([(0.2 - 0.485) / 0.229, (0.2 - 0.456) / 0.224, (0.2 - 0.406) / 0.225])
    torch.testing.assert_close(normalise(grey).flatten(), expected)
    assert not normalise.state_dict()
    assert not list(normalise.parameters())
