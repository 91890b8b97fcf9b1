"""Hidden states that several runs keep under the same name at once."""

import multiprocessing
import resource
import sys
from pathlib import Path

import pytest
import torch

from spam_classifier.models.prefix_cache import PrefixCache

SHAPE = (50_000, 8)
ROUNDS = 20


def keep_and_find(directory: Path) -> None:
    cache, states = PrefixCache(directory), torch.arange(SHAPE[0] * SHAPE[1], dtype=torch.float32).view(SHAPE)
    for _ in range(ROUNDS):
        found = cache.find("digest", SHAPE, torch.float32)
        if found is not None and not torch.equal(found, states):
            sys.exit("a file that is not whole")
        if not cache.keep("digest", states):
            sys.exit("not kept")


@pytest.mark.skipif(sys.platform == "win32", reason="a mapped file can't be replaced")
def test_two_processes_keep_the_same(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=keep_and_find, args=(tmp_path,)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]
    assert [path.name for path in tmp_path.iterdir()] == ["digest"]


def test_a_full_disk_keeps_nothing(tmp_path: Path) -> None:
    former = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, former[1]))
    try:
        assert not PrefixCache(tmp_path).keep("digest", torch.zeros(SHAPE))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, former)
    assert not list(tmp_path.iterdir())
