"""A file that grows chunk by chunk and can be gone on with behind a whole one."""

import os
from pathlib import Path


class GrowingFile:
    """Text appended to a file.

    Args:
        path: The file.
        offset: Bytes of it that are kept; what stands behind them is cut off.
    """

    def __init__(self, path: Path, offset: int = 0) -> None:
        self.path = path
        if not offset:
            path.unlink(missing_ok=True)  # where it is a link, it may lead anywhere
        self._file = path.open("r+b" if offset else "xb")
        self._file.truncate(offset)
        self._file.seek(offset)

    def append(self, text: str) -> None:
        """Write at the end; what UTF-8 can't hold, as in the name of a file, is written as an escape."""
        self._file.write(text.encode("utf-8", "backslashreplace"))

    def sync(self) -> int:
        """Bring it to the disk.

        Returns:
            Its size, in bytes.
        """
        self._file.flush()
        os.fsync(self._file.fileno())
        return self._file.tell()

    def close(self) -> None:
        """Close it."""
        self._file.close()
