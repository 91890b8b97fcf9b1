"""A look at the pickle in a checkpoint before anything is made of it.

PyTorch's ``weights_only`` runs no code that a pickle names. What is left are pickles that make it crash, or take all
time or memory: packed ones, those that have numbers allocate, and tuples in tuples, which take for ever to hash.
"""

import pickletools
import zipfile
from pathlib import Path

MOST_BYTES = 2**26  # of the pickle alone; the tensors lie beside it
LARGEST = 2**24  # parts of a value, counted anew wherever it is used
MOST_WORK = 2**28  # the same, over all values
DEEPEST = 100  # values within each other
CALLABLES = {  # that this project's and Lightning's checkpoints are made of
    "collections OrderedDict",
    "collections Counter",
    "torch Size",
    "torch device",
    "torch._utils _rebuild_tensor_v2",
    "torch._utils _rebuild_parameter",
}
TYPES = ("torch ", "torch.storage ")  # behind them the types of storages and numbers, which make nothing by themselves
NOT_TYPES = ("Tensor", "UntypedStorage", "TypedStorage")


class HostilePickle(Exception):  # noqa: N818  # it says what the file is
    """This is no pickle of a checkpoint."""


def refuse_hostile_pickle(path: Path) -> None:
    """Refuse a file that is no checkpoint, or one that would be a danger to read.

    Args:
        path: The file.

    Raises:
        Exception: It is none; of whatever kind.
    """
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        pickles = [member for member in members if member.filename.rpartition("/")[2] == "data.pkl"]
        if len(pickles) != 1 or any(member.compress_type != zipfile.ZIP_STORED for member in members):
            raise HostilePickle
        if pickles[0].file_size > MOST_BYTES:
            raise HostilePickle
        refuse_hostile_opcodes(archive.read(pickles[0]))


def refuse_hostile_opcodes(pickled: bytes) -> None:
    """Follow what a pickle makes, without making it.

    Args:
        pickled: The pickle.

    Raises:
        Exception: It names something that no checkpoint does, makes too much, or is malformed.
    """
    stack: list[tuple[int, int] | None] = []  # parts and depth of each value; None for a mark
    memo: dict[int, tuple[int, int]] = {}
    work = 0
    for opcode, argument, _ in pickletools.genops(pickled):
        name = opcode.name
        if name == "GLOBAL" and not _is_expected(str(argument)):
            raise HostilePickle
        if "GET" in name:
            made: tuple[int, int] = memo[int(str(argument))]
        elif "PUT" in name or name == "MEMOIZE":
            memo[len(memo) if argument is None else int(str(argument))] = stack[-1]  # type: ignore[assignment]
            continue
        else:
            used = _popped(stack, opcode)
            made = 1 + sum(parts for parts, _ in used), 1 + max((depth for _, depth in used), default=0)
        work += made[0]
        if made[0] > LARGEST or made[1] > DEEPEST or work > MOST_WORK:
            raise HostilePickle
        for what in opcode.stack_after:
            stack.append(None if what is pickletools.markobject else made)


def _popped(stack: list[tuple[int, int] | None], opcode: pickletools.OpcodeInfo) -> list[tuple[int, int]]:
    """Take from the stack what an opcode takes."""
    used = []
    below = list(opcode.stack_before)
    if pickletools.markobject in below:
        while (value := stack.pop()) is not None:
            used.append(value)
        below = below[: below.index(pickletools.markobject)]
    for _ in below:
        if (value := stack.pop()) is None:
            raise HostilePickle
        used.append(value)
    return used


def _is_expected(named: str) -> bool:
    kind = named.removeprefix(TYPES[1]).removeprefix(TYPES[0])
    is_type = named.startswith(TYPES) and (kind.endswith("Storage") or kind.islower() or kind[:1].islower())
    return named in CALLABLES or (is_type and kind not in NOT_TYPES and "." not in kind and "(" not in kind)
