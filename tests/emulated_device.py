"""A device beside the CPU that every machine has: tensors that belong to it are marked, and what
fails on a GPU because of where tensors lie fails here.

A tensor is on the emulated device if its storage is. `tensor.to(DEVICE)`, a factory with
`device=DEVICE` and `module.to(DEVICE)` put tensors there, `tensor.cpu()` copies them back, and the
result of an operator is where its arguments are. As in PyTorch, an index may be on the CPU, tensors
without axes may be too, and copies go anywhere.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.overrides import TorchFunctionMode, resolve_name
from torch.utils._pytree import tree_leaves, tree_map_only

from orn.shared import devices
from orn.stage2_train.report import explained_clips
from orn.stage2_train.runs import trained

DEVICE = torch.device("cpu", 1)
"""Equal to no device of another tensor, but of the type `cpu`, which every operator supports."""
HOST = torch.device("cpu")

_COPIES = {
    Tensor.copy_,
    Tensor.data.__set__,
    Tensor.grad.__set__,
    torch._has_compatible_shallow_copy_type,
}
_READERS = {Tensor.numpy, Tensor.__array__}


class MixedDevicesError(Exception):
    """An operator got tensors of the emulated device and of the host."""


class EmulatedDevice(TorchFunctionMode):
    """While active, `DEVICE` can be used as any other device."""

    def __init__(self) -> None:
        super().__init__()
        self._storages: dict[int, StorageWeakRef] = {}
        """A weak reference keeps the address of a storage from being used again."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        if func == Tensor.device.__get__:
            return DEVICE if self.holds(args[0]) else HOST
        if func in (Tensor.to, Tensor.cpu):
            return self._to(func, args, kwargs)
        target = kwargs.get("device")
        if target is not None:
            target = kwargs["device"] = torch.device(target)
            if target == DEVICE:
                kwargs["device"] = HOST
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        is_held = any(map(self.holds, tensors))
        if is_held:
            self._check(func, args, tensors)
        result = func(*args, **kwargs)
        on_device = is_held if target is None else target == DEVICE
        if on_device and isinstance(kwargs.get("generator"), torch.Generator):
            raise MixedDevicesError(f"{resolve_name(func)}: the generator is on the CPU")
        if on_device and func not in _COPIES:
            tree_map_only(Tensor, self._hold, result)
        return result

    def holds(self, tensor: Tensor) -> bool:
        """Whether a tensor is on the emulated device."""
        with torch._C.DisableTorchFunction():
            reference = self._storages.get(tensor.untyped_storage()._cdata)
        return reference is not None and not reference.expired()

    def _hold(self, tensor: Tensor) -> Tensor:
        with torch._C.DisableTorchFunction():
            reference = StorageWeakRef(tensor.untyped_storage())
        self._storages[reference.cdata] = reference
        return tensor

    def _to(self, func: Callable[..., Any], args: Any, kwargs: Any) -> Tensor:
        """Convert and move a tensor; a move copies it, as between real devices."""
        tensor, target = args[0], HOST if func is Tensor.cpu else None
        given = [*args[1:], *kwargs.values()]
        for value in given:
            if isinstance(value, torch.device | str):
                target = torch.device(value)
            elif isinstance(value, Tensor):
                target = DEVICE if self.holds(value) else HOST
        is_held = self.holds(tensor)
        places = (DEVICE, str(DEVICE))
        here = [HOST if value in places else value for value in args[1:]]
        named = {name: HOST if value in places else value for name, value in kwargs.items()}
        result: Tensor = func(tensor, *here, **named)
        if target is not None and (target == DEVICE) != is_held:
            result, is_held = result.clone(), not is_held
        return self._hold(result) if is_held else result

    def _check(self, func: Callable[..., Any], args: Any, tensors: list[Tensor]) -> None:
        name = resolve_name(func) or str(func)
        if func in _READERS:
            raise MixedDevicesError(f"{name}: the tensor is on the device; call cpu() first")
        if func in _COPIES:
            return
        if func is Tensor.__getitem__ and self.holds(args[0]):
            return
        if func is Tensor.__setitem__ and self.holds(args[0]):
            tensors = [value for value in (args[0], args[2]) if isinstance(value, Tensor)]
        if on_host := [tuple(row.shape) for row in tensors if row.ndim and not self.holds(row)]:
            raise MixedDevicesError(f"{name}: on the CPU are tensors of shapes {on_host}")


@contextmanager
def emulated_device() -> Iterator[torch.device]:
    """Emulate a device, on which accelerate trains and on which models and detectors are opened."""
    with pytest.MonkeyPatch.context() as patch, EmulatedDevice():
        patch.setattr(Accelerator, "device", DEVICE)
        for module in (trained, explained_clips, devices):
            patch.setattr(module, "choose_device", lambda *_, **__: str(DEVICE))
        yield DEVICE
