"""What a network configuration accepts."""

import re

import pytest

from orn.shared.config.toml_files import config_from_dict
from orn.shared.errors import ConfigError
from orn.stage2_train.settings.model_config import NetworkConfig


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"backbone": "resnet34"}, "backbone: expected resnet18, "),
        ({"object_parts": ["class", "shape"]}, "object_parts: expected a subset of"),
        ({"object_parts": []}, "object_parts: expected a subset of"),
        (
            {"clique_size": 1, "pair_geometry": True},
            'relation_frames = "same" and pair_geometry = false',
        ),
        ({"architecture": "trn"}, "heads: expected activity for architecture trn"),
    ],
)
def test_refuses_settings_that_cannot_be(changes, message) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        config_from_dict({"num_activities": 2, **changes}, NetworkConfig, where="test")
