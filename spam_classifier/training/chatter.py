"""Hide messages of Lightning and its libraries that tell a user of the commands nothing."""

import logging
import threading
import warnings

HIDDEN = (
    "💡 Tip:",
    "Seed set to",
    "GPU available:",
    "TPU available:",
    "HPU available:",
    "that has Tensor Cores",  # advice to compute less exactly
    "Loading `train_dataloader` to estimate",
    "Restoring states from the checkpoint",
    "Restored all states from the checkpoint",
    "Loaded model weights from the checkpoint",
    "Detected KeyboardInterrupt",
    "`Trainer.fit` stopped: `max_epochs=",
    "`Trainer.fit` stopped: `max_steps=",
    "=1.0)` was configured so 100% of the batches",  # which is the default, too
)
LOGGERS = tuple(
    f"lightning.{name}"
    for name in ("pytorch.utilities.rank_zero", "fabric.utilities.rank_zero", "fabric.utilities.seed")
)
OF_SIGNALS = "lightning.pytorch.trainer.connectors.signal_connector"
WARNINGS = (
    ".*isinstance.treespec, LeafSpec.*",
    ".*Checkpoint directory .* exists and is not empty",  # a resumed run
    r".*number of training batches .* is smaller than the logging interval",  # the mean of the epoch is logged
)


def quieten() -> None:
    """Hide what our own lines say better, advertising, and warnings of Lightning about its own code."""
    for name in LOGGERS:
        logging.getLogger(name).addFilter(_is_worth_reading)
    logging.getLogger(OF_SIGNALS).setLevel(logging.WARNING)
    # TensorBoard writes in a thread, and raises errors of that thread again in the main one
    threading.excepthook = lambda failed: None if failed.exc_type is OSError else threading.__excepthook__(failed)
    for message in WARNINGS:
        warnings.filterwarnings("ignore", message=message)


def _is_worth_reading(record: logging.LogRecord) -> bool:
    return not any(words in record.getMessage() for words in HIDDEN)
