"""The average of the parts of a model, with a temperature for each.

A model has P parts: its network, its forest, if any, and, for long videos, its head over time. They
are averaged as log-probabilities, or as log-odds for multiple labels,

    z = (1 / P) * sum over parts of logits / T_part

and the probabilities are softmax(z), or sigmoid(z).

N segments, A activity classes.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from orn.stage2_train.settings.names import WHOLE


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PartLogits:
    """Logits of the parts of a model for the same segments."""

    network: NDArray[np.float32]
    """(N, A)."""
    forest: NDArray[np.float32] | None
    """(N, A) logarithms of probabilities, or log-odds for multiple labels; None without a
    forest."""
    film: NDArray[np.float32] | None = None
    """(N, A), in the same way, of the head over time; None without one."""

    def rows(self, of_N: NDArray[np.bool_]) -> "PartLogits":
        """Return the logits of some segments."""
        forest, film = (None if own is None else own[of_N] for own in (self.forest, self.film))
        return PartLogits(network=self.network[of_N], forest=forest, film=film)

    @property
    def is_network(self) -> bool:
        """Whether there is a network alone."""
        return self.forest is None and self.film is None

    def by_head(
        self,
        heads: Mapping[str, NDArray[np.float32]],
        temperature_N3: NDArray[np.float64],
    ) -> dict[str, NDArray[np.float32]]:
        """Return (N, A) logits by name in reports; the prediction comes first: the whole model, or
        the network if there is no forest.

        Args:
            heads: logits of the network, of its heads if it has two, of the forest and of the head
                over time, by name.
            temperature_N3: as for `whole`.
        """
        whole_NA = self.whole(temperature_N3).astype(np.float32)
        first = next(iter(heads)) if self.is_network else WHOLE
        return {first: whole_NA, **{name: own for name, own in heads.items() if name != first}}

    def whole(self, temperature_N3: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return (N, A) float64 logits of the whole model: z.

        Args:
            temperature_N3: (N, 3) or (3,) temperatures, in the order of `Temperatures.row`.
        """
        own_3N = np.broadcast_to(temperature_N3, (len(self.network), 3)).T
        scaled = [
            logits_NA.astype(np.float64) / own_N[:, None]
            for logits_NA, own_N in zip((self.network, self.forest, self.film), own_3N, strict=True)
            if logits_NA is not None
        ]
        mean_NA: NDArray[np.float64] = sum(scaled) / len(scaled)
        return mean_NA
