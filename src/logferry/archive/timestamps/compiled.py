"""How the kernels that read lines are compiled: kept beside the program, without the interpreter's lock.

What is kept goes by the date and size of a kernel's own file, so all parts that a kernel calls stand in its file.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numba
from numba.core.cpu import CPUTargetOptions

F = TypeVar("F", bound=Callable[..., Any])

_UNCOUNTED = "_nrt"
"""Numba's own switch, which its documentation leaves out: used where it is there."""


def kernel(function: F) -> F:
    """``function`` as native code over numpy arrays, compiled at its first call."""
    try:
        return numba.njit(function, cache=True, nogil=True, error_model="numpy")  # type: ignore[no-any-return]
    except RuntimeError:  # "no locator available": no folder to keep it in
        return numba.njit(function, nogil=True, error_model="numpy")  # type: ignore[no-any-return]


def inlined(function: F) -> F:
    """Like ``part``, for what is called in one place and for each line: an array costs seven arguments of a call."""
    return part(function, forceinline=True)


def part(function: F, *, forceinline: bool = False) -> F:
    """Like ``kernel``, for what compiled code alone calls: Python's way in is left out. It may not make arrays."""
    options: dict[str, Any] = {
        "nogil": True,
        "error_model": "numpy",
        "no_cpython_wrapper": True,
        "no_cfunc_wrapper": True,
        "forceinline": forceinline,
    }
    if hasattr(CPUTargetOptions, _UNCOUNTED):
        # Nobody lets go of an array while a kernel runs. Without this each call counts the arrays it is given, up and
        # down again, by atomic operations: half the time of a kernel that reads lines.
        options[_UNCOUNTED] = False
    return numba.njit(function, **options)  # type: ignore[no-any-return]
