"""How the kernels that read lines are compiled: kept beside the program, without the interpreter's lock.

What is kept goes by the date and size of a kernel's own file, so all parts that a kernel calls stand in its file.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numba

F = TypeVar("F", bound=Callable[..., Any])


def kernel(function: F) -> F:
    """``function`` as native code over numpy arrays, compiled at its first call."""
    try:
        return numba.njit(function, cache=True, nogil=True, error_model="numpy")  # type: ignore[no-any-return]
    except RuntimeError:  # "no locator available": no folder to keep it in
        return numba.njit(function, nogil=True, error_model="numpy")  # type: ignore[no-any-return]


def part(function: F) -> F:
    """Like ``kernel``, for what compiled code alone calls: Python's way in is left out."""
    options: dict[str, Any] = {
        "nogil": True,
        "error_model": "numpy",
        "no_cpython_wrapper": True,
        "no_cfunc_wrapper": True,
    }
    return numba.njit(function, **options)  # type: ignore[no-any-return]
