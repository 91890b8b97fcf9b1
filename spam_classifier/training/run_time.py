"""How long a run has been training, over all its sessions."""

import time
from typing import Any

from lightning.pytorch.callbacks import Callback
from typing_extensions import override


class RunTime(Callback):
    """Counts the time since it was made, and that of the earlier sessions of the run, from its checkpoint.

    What a killed session did after its last checkpoint is not counted: the next one does it again.
    """

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._earlier = 0.0

    @property
    def session(self) -> float:
        """Seconds of this session."""
        return time.monotonic() - self._started

    @property
    def total(self) -> float:
        """Seconds of all sessions."""
        return self._earlier + self.session

    @override
    def state_dict(self) -> dict[str, Any]:
        return {"seconds": self.total}

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._earlier = float(state_dict["seconds"])
