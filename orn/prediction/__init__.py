"""Both stages on new videos, `orn predict`: windows, predictions, the film and the page."""
