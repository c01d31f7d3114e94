"""Plain values come back; whatever else a pickle can hold is refused and nothing of it runs."""

import contextlib
import os
import pickle
import pickletools
import struct
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orn.shared.errors import ObjectImportError
from orn.stage1_detect.imports.restricted_pickle import PickledArray, load_plain
from tests.shared.test_torch_files import Call

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**31), 2**31 - 1)
    | st.floats(allow_nan=False)
    | st.text(max_size=300)
    | st.binary(max_size=300),
    lambda inner: (
        st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text(max_size=5), inner)
    ),
    max_leaves=20,
)


def load(data: bytes) -> Any:
    with NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        return load_plain(Path(file.name))[0]


@given(VALUES, st.sampled_from([3, 4, 5]))
def test_plain_values_come_back(value: Any, protocol: int) -> None:
    assert load(pickle.dumps(value, protocol)) == value


@pytest.mark.parametrize("module", [b"numpy._core.multiarray", b"numpy.core.multiarray"])
@pytest.mark.parametrize("dtype", ["<f4", "<f8"])
def test_arrays_come_back(module: bytes, dtype: str) -> None:
    arrays = [np.arange(5, dtype=dtype), np.ones((2, 3), dtype=dtype), np.zeros(0, dtype=dtype)]
    data = pickle.dumps([arrays, arrays[0]], 3)  # in protocol 4 a name has its length before it
    loaded = load(data.replace(b"numpy._core.multiarray", module))
    for array, expected in zip(loaded[0], arrays, strict=True):
        assert isinstance(array, PickledArray)
        assert array.values is not None
        np.testing.assert_array_equal(array.values, expected)
        assert array.values.dtype == expected.dtype
    assert loaded[1] is loaded[0][0]
    assert load(pickle.dumps(arrays[0], 4)).values.tolist() == arrays[0].tolist()


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("depth", [0, 3])
def test_a_call_is_refused_and_not_run(protocol: int, depth: int, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    value: Any = Call(os.system, f"touch {mark}")
    for _ in range(depth):
        value = {"segms": [value]} if protocol else [value]
    data = pickle.dumps(value, protocol)
    with pytest.raises(ObjectImportError, match="released masks") as caught:
        load(data)
    assert protocol < 2 or "refers to posix.system" in str(caught.value)
    assert not mark.exists()
    if depth == 0:
        pickle.loads(data)
        assert mark.exists()  # the test would have seen it run


SYSTEM_CALL = b"cos\nsystem\n(X\x04\x00\x00\x00truetR."
RECONSTRUCT = b"cnumpy.core.multiarray\n_reconstruct\n"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (pickle.dumps(Call(eval, "1"), 4), "refers to builtins.eval, .* not executed"),
        (SYSTEM_CALL, "refers to os.system"),
        (b"\x80\x04\x8c\x02os\x8c\x06system\x93.", "refers to os.system"),
        (b"(S'true'\nios\nsystem\n.", "unexpected instruction .*STRING"),
        (b"\x80\x05\x96" + (1 << 40).to_bytes(8, "little") + b".", "instruction .*BYTEARRAY8"),
        (b"cnumpy\nndarray\n}b.", "corrupt pickle"),
        (b"cnumpy\ndtype\n\x8c\x01O\x89\x88\x87R.", "expected an array of float32"),
        (RECONSTRUCT + b"(cnumpy\nndarray\nK\xff\x85C\x01btR.", "expected a NumPy array"),
        (b"\x80\x04}]q\x00" + b"h\x00h\x00\x86q\x00" * 40 + b"Ns.", "keys that are neither"),
        (b"\x80\x04}](" + b"N\x85" + b"\x85" * 100_000 + b"Nu.", "damaged|neither"),
    ],
)  # fmt: skip
def test_other_ways_to_run_code_or_for_ever(data: bytes, message: str) -> None:
    with pytest.raises(ObjectImportError, match=message):
        load(data)


@pytest.mark.parametrize("shape", [b"J" + struct.pack("<i", 2**31 - 1) + b"\x85", b"MANY"])
def test_an_array_cannot_claim_more_than_its_bytes(shape: bytes) -> None:
    many = pickle.dumps(tuple([1, 2] * 50_000), 4)[:-1].removeprefix(b"\x80\x04")
    data = pickle.dumps(np.zeros(5, np.float32), 4)
    assert load(data).values.shape == (5,)
    with pytest.raises(ObjectImportError, match="corrupt pickle") as caught:
        load(data.replace(b"K\x05\x85", many if shape == b"MANY" else shape))
    assert len(str(caught.value)) < 200


INSTRUCTION = st.one_of(
    st.builds(
        lambda code, argument: code.encode("latin-1") + argument,
        st.sampled_from([opcode.code for opcode in pickletools.opcodes]),
        st.binary(max_size=9),
    ),
    st.sampled_from([b"]", b"}", b")", b"(", b"\x94", b"a", b"e", b"s", b"u", b"t", b"R", b"b"]),
    st.sampled_from([b"\x85", b"\x86", b"\x87", b"h\x00", b"q\x00", b"K\x01", b"N", b"\x93"]),
    st.sampled_from([b"\x8c\x02os", b"\x8c\x06system", b"\x8c\x05numpy", b"\x8c\x07ndarray"]),
)


@given(st.lists(INSTRUCTION, max_size=40))
def test_any_instructions_are_read_or_refused(parts: list[bytes]) -> None:
    """Nothing else is raised, and nothing runs."""
    with contextlib.suppress(ObjectImportError):
        load(b"\x80\x04" + b"".join(parts) + b".")
