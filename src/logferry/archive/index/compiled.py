"""Compiling the index's kernels, and the few machine instructions that Python has no word for.

Nothing is compiled when a module is imported: a kernel is compiled when it is first called, and kept beside the
program or, where that folder cannot be written, in the user's cache folder. Where neither can be written it is
compiled once per process. Kernels release the interpreter lock.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from importlib import resources
from typing import TYPE_CHECKING, Any, TypeVar

import numba
import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba.core import types
from numba.core.cpu import CPUTargetOptions
from numba.core.imputils import impl_ret_untracked
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

F = TypeVar("F", bound=Callable[..., Any])

_UNCOUNTED = "_nrt"
"""Numba's own switch, which its documentation leaves out: used where it is there."""
_WORD = ir.IntType(64)
_DOUBLE = ir.IntType(128)


def _digest_of_sources() -> str:
    digest = hashlib.blake2b(digest_size=6)
    files = {file.name: file for file in resources.files(__package__).iterdir() if file.name.endswith(".py")}
    for name in sorted(files):
        digest.update(files[name].read_bytes())
    return digest.hexdigest()


_SOURCES = _digest_of_sources()


def kernel(function: F) -> F:
    """``function`` as native code over numpy arrays, compiled at its first call."""
    # What is kept goes by a function's name, and by date and size of its own file: not by the files of the functions
    # it calls. An upgrade must never run code of the version before, so the name tells all of them apart.
    function.__qualname__ = f"{function.__qualname__}_{_SOURCES}"
    try:
        return numba.njit(function, cache=True, nogil=True)  # type: ignore[no-any-return]
    except RuntimeError:  # "no locator available": no folder to keep it in
        return numba.njit(function, nogil=True)  # type: ignore[no-any-return]


def inlined(function: F) -> F:
    """Like ``kernel``, for small functions that kernels call. They may not make arrays."""
    options: dict[str, Any] = {"nogil": True, "forceinline": True}
    if hasattr(CPUTargetOptions, _UNCOUNTED):
        # Nobody lets go of an array while a kernel runs. Without this each call counts the arrays it is given, up and
        # down again, by atomic operations: a quarter of the time of a kernel that looks at words.
        options[_UNCOUNTED] = False
    return numba.njit(function, **options)  # type: ignore[no-any-return]


def _little_endian(builder: Any, word: Any) -> Any:
    return builder.bswap(word) if sys.byteorder == "big" else word


if TYPE_CHECKING:  # what the instructions below are to those who use them

    def load64(array: npt.NDArray[np.uint8], index: int) -> np.uint64:
        """Eight bytes of a byte array from any index, as a little-endian number."""

    def store64(array: npt.NDArray[np.uint8], index: int, value: np.uint64) -> None:
        """Write a number as eight little-endian bytes to any index of a byte array."""

    def trailing_zeros(value: np.uint64) -> int:
        """How many low bits are 0."""

    def leading_zeros(value: np.uint64) -> int:
        """How many high bits are 0."""

    def mixed(left: np.uint64, right: np.uint64) -> np.uint64:
        """The step of our hashes."""

else:

    @intrinsic
    def load64(_context: Any, array: Any, index: Any) -> Any:
        """Eight bytes of a byte array from any index, as a little-endian number. They must lie inside the array."""

        def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            data = make_array(signature.args[0])(context, builder, arguments[0]).data
            at = context.cast(builder, arguments[1], signature.args[1], types.intp)
            place = builder.bitcast(builder.gep(data, [at]), _WORD.as_pointer())
            word = _little_endian(builder, builder.load(place, align=1))
            return impl_ret_untracked(context, builder, signature.return_type, word)

        return types.uint64(array, index), code

    @intrinsic
    def store64(_context: Any, array: Any, index: Any, value: Any) -> Any:
        """Write a number as eight little-endian bytes to any index of a byte array."""

        def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            data = make_array(signature.args[0])(context, builder, arguments[0]).data
            at = context.cast(builder, arguments[1], signature.args[1], types.intp)
            place = builder.bitcast(builder.gep(data, [at]), _WORD.as_pointer())
            word = context.cast(builder, arguments[2], signature.args[2], types.uint64)
            builder.store(_little_endian(builder, word), place, align=1)
            return context.get_dummy_value()

        return types.void(array, index, value), code

    @intrinsic
    def trailing_zeros(_context: Any, value: Any) -> Any:
        """How many low bits of a number are 0; 64 if all are."""

        def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            word = context.cast(builder, arguments[0], signature.args[0], types.uint64)
            count = builder.cttz(word, ir.Constant(ir.IntType(1), 0))
            return impl_ret_untracked(context, builder, signature.return_type, count)

        return types.int64(value), code

    @intrinsic
    def leading_zeros(_context: Any, value: Any) -> Any:
        """How many high bits of a 64-bit number are 0; 64 if all are."""

        def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            word = context.cast(builder, arguments[0], signature.args[0], types.uint64)
            count = builder.ctlz(word, ir.Constant(ir.IntType(1), 0))
            return impl_ret_untracked(context, builder, signature.return_type, count)

        return types.int64(value), code

    @intrinsic
    def mixed(_context: Any, left: Any, right: Any) -> Any:
        """Both halves of the 128-bit product of two numbers, folded by XOR: the step of our hashes."""

        def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            a, b = (
                builder.zext(context.cast(builder, value, kind, types.uint64), _DOUBLE)
                for value, kind in zip(arguments, signature.args, strict=True)
            )
            product = builder.mul(a, b)
            low = builder.trunc(product, _WORD)
            high = builder.trunc(builder.lshr(product, ir.Constant(_DOUBLE, 64)), _WORD)
            return impl_ret_untracked(context, builder, signature.return_type, builder.xor(low, high))

        return types.uint64(left, right), code


def identity() -> str:
    """What is kept of kernels is of use to those with the same: their sources, numba, Python."""
    return f"{_SOURCES} numba {numba.__version__} python {sys.version_info.major}.{sys.version_info.minor}"
