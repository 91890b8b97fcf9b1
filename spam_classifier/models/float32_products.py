"""How exactly products of float32 matrices are computed, which a user's PyTorch settings decide."""

from typing import Any

import torch


def float32_products() -> dict[str, str]:
    """The setting for each backend: ``ieee`` for float32 throughout, ``tf32`` or ``bf16`` for fewer digits.

    ``torch.set_float32_matmul_precision`` sets both. Its getter raises an error if they were set one by one.
    """
    backends: Any = torch.backends
    settings = {"CPU": backends.mkldnn.matmul, "CUDA": backends.cuda.matmul}
    return {name: str(matmul.fp32_precision).replace("none", "ieee") for name, matmul in settings.items()}
