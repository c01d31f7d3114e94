"""Building networks whose initial weights do not matter."""

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode


class WithoutDraws(TorchFunctionMode):
    """Skip random initialization, for which PyTorch loads its compiler on the meta device."""

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        draws = function in (Tensor.normal_, Tensor.uniform_)
        if draws or getattr(function, "__module__", "") == nn.init.__name__:
            return None
        return function(*args, **(kwargs or {}))
