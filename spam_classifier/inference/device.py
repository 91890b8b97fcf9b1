"""Where a trained classifier computes."""

import torch

from spam_classifier.errors import UserError


def chosen_device(name: str) -> str:
    """The device that ``--device`` means; ``auto`` is a GPU if there is one.

    Raises:
        UserError: PyTorch can't compute there.
    """
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(1, device=name)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise UserError(f"--device {name}: PyTorch can't compute there; give cpu, or leave it out") from error
    return name
