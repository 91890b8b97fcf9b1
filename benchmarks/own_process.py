"""A process of its own for each measurement, so that none counts the memory of another."""

import multiprocessing
import sys
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")


def in_own_process(function: Callable[..., Result], *arguments: object) -> Result:
    """Call a function in a process of its own.

    On Linux that is a fork, which need not import anything again: until then this process must not have computed with
    PyTorch, whose threads a fork does not have.
    """
    with multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn").Pool(1) as pool:
        return pool.apply(function, arguments)
