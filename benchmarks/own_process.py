"""A new process for each measurement, so that none counts the memory of another."""

import multiprocessing
import sys
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")


def in_own_process(function: Callable[..., Result], *arguments: object) -> Result:
    """Call a function in a new process.

    On Linux that is a fork, which imports nothing again. Before it this process must not compute with PyTorch: a fork
    lacks PyTorch's threads.
    """
    with multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn").Pool(1) as pool:
        return pool.apply(function, arguments)
