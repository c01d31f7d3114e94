"""Configurations from TOML, and back."""

import tomllib
from dataclasses import field
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic.dataclasses import dataclass

from orn.shared.config.fields import STRICT, Count, Maybe
from orn.shared.config.toml_files import config_from_dict, load_config, to_toml
from orn.shared.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class Optimizer:
    learning_rate: float
    name: Literal["adam", "adamw"] = "adamw"
    betas: tuple[float, float] = (0.9, 0.999)
    warm_up: Maybe[int] = 10


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class Recipe:
    optimizer: Optimizer
    epochs: Count = 3
    title: str = "demo"
    checkpoint: Maybe[Path] = None
    widths: tuple[int, ...] = (64,)
    weights: dict[str, float] = field(default_factory=dict)


RATE = "optimizer.learning_rate = 1\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epoch = 3", "unknown key 'epoch'; .*'epochs'"),
        ("[optimizer]", "missing key 'optimizer.learning_rate'"),
        (RATE + "epochs = '3'", "epochs: expected a valid integer, got '3'"),
        (RATE + "optimizer.name = 'adan'", "expected 'adam' or 'adamw', got 'adan'"),
        (RATE + "epochs = 9999999999", "epochs: expected less than 2147483648, got 9999999999"),
        ("optimizer.learning_rate = 1e999", "learning_rate: expected a finite number, got inf"),
        (f"a{'.a' * 5000} = 1", "nested too deeply"),
        (f"epochs = 0x{'f' * 5000}", "a number that is too large"),
        ("\n".join(f"a{i} = 1" for i in range(99)), "unknown key 'a6'.*; and 92 more"),
    ],
)
def test_refusals_name_file_key_wanted_and_found(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(text, errors="surrogateescape")
    with pytest.raises(ConfigError, match=f"^{path}: .*{message}"):
        load_config(path, Recipe)


@given(text=st.text(), rate=st.floats(allow_nan=False, allow_infinity=False))
def test_any_text_and_number_survive_toml(text: str, rate: float) -> None:
    recipe = Recipe(optimizer=Optimizer(learning_rate=rate), title=text)
    assert config_from_dict(tomllib.loads(to_toml(recipe)), Recipe, where="test") == recipe
