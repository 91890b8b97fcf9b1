"""Hidden states kept for other runs."""

import os
import time
from pathlib import Path

import torch

from spam_classifier.models.prefix_cache import PrefixCache


def test_what_a_killed_run_left_goes_and_what_another_writes_stays(tmp_path: Path) -> None:
    left, written = tmp_path / "a.incomplete", tmp_path / "b.incomplete"
    for path, age in ((left, 200_000), (written, 100)):
        path.touch()
        os.utime(path, (time.time() - age,) * 2)
    cache, states = PrefixCache(tmp_path), torch.randn(5, 3)
    assert cache.keep("digest", states)
    assert {path.name for path in tmp_path.iterdir()} == {"b.incomplete", "digest"}
    assert torch.equal(cache.find("digest", (5, 3), torch.float32), states)
