"""Settings of an evaluation, and the names that they give to its files."""

from typing import Literal

NumCrops = Literal[1, 3]
NUM_FIGURE_DRAWS = 2000
"""Bootstrap draws for a confidence interval, which determine its width to about 2 %."""
