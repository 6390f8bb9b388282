"""Compiled functions, kept between processes where there is a place for it; compiled anew in each where there is none.

numba keeps them beside the source, else in the user's cache. A package that is read-only and a user without a home have
neither: then below a folder that `keep_compiled_below` names, else nowhere.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from numba import config, njit
from numba.core.caching import FunctionCache

Function = TypeVar("Function", bound=Callable[..., Any])
_homeless: list[Any] = []


class _Kept(FunctionCache):
    """A cache that can only help: one that is damaged, or on a full disk, is passed over."""

    def load_overload(self, *arguments: Any) -> Any:
        with suppress(Exception):
            return super().load_overload(*arguments)
        return None

    def save_overload(self, *arguments: Any) -> None:
        with suppress(Exception):
            super().save_overload(*arguments)


def compiled(**options: Any) -> Callable[[Function], Function]:
    """Compile a function at its first call, as `numba.njit(**options)` does, and keep what was compiled."""

    def decorate(function: Function) -> Function:
        dispatcher = njit(**options)(function)
        if not _keep(dispatcher):
            _homeless.append(dispatcher)
        return dispatcher

    return decorate


def keep_compiled_below(folder: Path) -> None:
    """Keep below this folder what has no other place; where that cannot be written either, nowhere."""
    if _homeless:
        config.CACHE_DIR = str(folder.absolute())
        _homeless[:] = [dispatcher for dispatcher in _homeless if not _keep(dispatcher)]


def _keep(dispatcher: Any) -> bool:
    try:
        dispatcher._cache = _Kept(dispatcher.py_func)
    except RuntimeError:  # no place that can be written
        return False
    return True
