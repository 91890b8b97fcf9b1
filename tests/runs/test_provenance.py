import subprocess
import sys

import numpy as np

from spam_classifier.runs.provenance import peak_of_process


def test_peak_grows_with_what_is_held() -> None:
    before = peak_of_process()
    held = np.ones(before + 2**24, np.uint8)
    assert peak_of_process() >= len(held)


def test_peak_is_not_that_of_the_parent() -> None:
    held = np.ones(2**30, np.uint8)
    code = "from spam_classifier.runs.provenance import peak_of_process; print(peak_of_process())"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert 0 < int(printed) < len(held)
