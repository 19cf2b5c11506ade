"""Functions that keep what they gave."""

import functools
from collections.abc import Callable, Hashable
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class remembered(Generic[T]):
    """`functools.cache` for a function that is sent to Python workers: it goes with its code, without what it keeps.

    A `functools.cache` is pickled by its name, whatever cloudpickle was told of its package.
    """

    def __init__(self, function: Callable[..., T]) -> None:
        self._function = function
        self._kept: dict[tuple[Hashable, ...], T] = {}
        functools.update_wrapper(self, function)

    def __call__(self, *args: Hashable) -> T:
        """What the function gives, or gave before."""
        if args not in self._kept:
            self._kept[args] = self._function(*args)
        return self._kept[args]

    def __reduce__(self) -> tuple[Any, ...]:
        return remembered, (self._function,)
