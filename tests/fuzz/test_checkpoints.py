"""Hostile checkpoints: damaged files, malicious pickles, settings of wrong types or out of all proportion."""

import io
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from spam_classifier.inference.classifier import load_classifier
from spam_classifier.models.gpt2_classifier import backbone_structure
from spam_classifier.training.module import SpamClassifier

pytestmark = [pytest.mark.filterwarnings("ignore:.*pickle protocol"), pytest.mark.filterwarnings("ignore:Sparse")]

MODEL = SpamClassifier("random", layers=1, width=1, heads=1, context=8, trainable="lora", lora_rank=1)
DATA = {
    "label_names": ["ham", "spam"],
    "class_weights": [1.0, 1.0],
    "max_length": 8,
    "padded_length": 8,
    "keep": "head",
}


def contents() -> dict[str, Any]:
    """A valid checkpoint."""
    backbone = backbone_structure(MODEL.shape, MODEL.hparams).state_dict()
    decision = {"temperature": 1.0, "threshold": 0.5, "fitted_step": -1}
    return {
        "state_dict": {
            **{f"backbone.{name}": torch.zeros(tensor.shape) for name, tensor in backbone.items()},
            **{"head.weight": torch.zeros(2, 1), "head.bias": torch.zeros(2)},
            **{f"decision.{name}": torch.tensor(value) for name, value in decision.items()},
        },
        **{"global_step": 1, "epoch": 1, "pytorch-lightning_version": "2.6.0"},
        "hyper_parameters": {**MODEL.hparams, **DATA},
    }


def written(checkpoint: object) -> bytes:
    file = io.BytesIO()
    torch.save(checkpoint, file)
    return file.getvalue()


VALID = written(contents())


def packed(pickled: bytes, packing: int = zipfile.ZIP_STORED) -> bytes:
    """The valid file, with another pickle in it."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(VALID)) as former, zipfile.ZipFile(file, "w", packing) as members:
        for member in former.infolist():
            is_pickle = member.filename.endswith("/data.pkl")
            members.writestr(member.filename, pickled if is_pickle else former.read(member))
    return file.getvalue()


with zipfile.ZipFile(io.BytesIO(VALID)) as _members:
    PICKLE = next(_members.read(name) for name in _members.namelist() if name.endswith("/data.pkl"))


class Call:
    """Pickles as a call."""

    def __init__(self, function: Callable, *arguments: object) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> tuple[Callable, tuple[object, ...]]:
        return self.function, self.arguments


CALLS = [
    *(Call(os.system, "touch executed"), Call(Path, "executed"), Call(__import__, "this"), Call(getattr, "a", "upper")),
    *(Call(function, "open('executed', 'w')") for function in (eval, exec)),
    *(Call(function, 10**12) for function in (bytearray, torch.UntypedStorage)),
    *(Call(function, 10**6, 10**6) for function in (torch.zeros, torch.FloatTensor)),
]
HOSTILE_PICKLES = [
    *(pickle.dumps({"state_dict": call}, protocol) for call in CALLS for protocol in (0, 2, 4)),
    b"cos\nsystem\n(S'touch executed'\ntR.",
    b"cbuiltins\nset\n(ctorch\nTensor\nI1000000000000\ntR.",
]
TOKENS = tuple(b"cos\nsystem\n R b \x81 Q ( t } s u h\x00 q\x00 \x86 ] a".split(b" "))
VALUES = st.sampled_from(
    [
        *(None, True, 0, 1, -1, 2, 10**6, 10**9, 10**12, 10**5_000, -(10**9), 0.0, -1.0, 1e308),
        *(float("inf"), float("nan"), "", "random", "gpt2", "/etc/passwd", "last", "lora", "\ud800", "x" * 10_000),
        *("\x1b[2J", b"bytes", [], {}, (), set(), [1], ["ham"], ["ham", "ham"], ["ham", "spam", "eggs"]),
        *(["c_attn"], ["nothing"], [[]], [10**400, 1], ["\ud800", "a"], torch.zeros(1), torch.zeros(0)),
        *(torch.zeros(1).expand(10**6, 10**6), torch.tensor(0.0), torch.tensor(float("nan"))),
        *(torch.zeros(2, dtype=torch.int64), torch.zeros(2, 1, device="meta")),
    ]
)
OTHER_NAMES = ["backbone_source", "_instantiator", "metrics_of_the_epoch", "hparams", "module_arguments"]
PATHS = st.one_of(
    *(st.sampled_from([("hyper_parameters", name) for name in sorted(contents()["hyper_parameters"])]),) * 3,
    st.sampled_from([("state_dict", name) for name in sorted(contents()["state_dict"])]),
    st.sampled_from([(name,) for name in contents()]),
    st.sampled_from([(*above, name) for above in ((), ("hyper_parameters",), ("state_dict",)) for name in OTHER_NAMES]),
)
SOURCES = [
    {"weights": "gpt2-xl", "revision": "", "sha256": ""},
    {"weights": "../../etc", "revision": "", "sha256": "0"},
    {"weights": "random"},
]
CHANGE = st.tuples(st.booleans(), PATHS, st.one_of(VALUES, VALUES, st.sampled_from(SOURCES)))


def changed(changes: list[tuple[bool, tuple[str, ...], object]]) -> bytes:
    checkpoint = contents()
    for removes, (*above, name), value in changes:
        holder = checkpoint.get(above[0]) if above else checkpoint
        if isinstance(holder, dict) and removes:
            holder.pop(name, None)
        elif isinstance(holder, dict):
            holder[name] = value
    return written(checkpoint)


@pytest.fixture(scope="module")
def path(scratch: Path) -> Path:
    return scratch / "hostile.ckpt"


def classified(path: Path) -> object:
    """What a classifier predicts, which uses all of its settings."""
    return load_classifier(path).predict(["See you at seven", "x " * 20])


@given(data=st.data())
def test_damaged(data: st.DataObject, damaged: Callable, unharmed: Callable, path: Path) -> None:
    kind = data.draw(st.sampled_from(["pickle", "end", "start"]))
    if kind == "pickle":
        path.write_bytes(packed(data.draw(damaged(PICKLE, TOKENS))))
    elif kind == "end":
        path.write_bytes(VALID[:-3_000] + data.draw(damaged(VALID[-3_000:])))
    else:
        path.write_bytes(data.draw(damaged(VALID[:3_000])) + VALID[3_000:])
    unharmed(lambda: classified(path))


@given(
    pickled=st.sampled_from(HOSTILE_PICKLES),
    packing=st.sampled_from([None, zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]),
    data=st.data(),
)
def test_pickles(
    data: st.DataObject, damaged: Callable, unharmed: Callable, path: Path, pickled: bytes, packing: int | None
) -> None:
    pickled = pickled if data.draw(st.booleans()) else data.draw(damaged(pickled, TOKENS))
    path.write_bytes(pickled if packing is None else packed(pickled, packing))
    unharmed(lambda: classified(path))
    assert not Path("executed").exists()


@given(st.lists(CHANGE, min_size=1, max_size=3))
def test_settings(unharmed: Callable, path: Path, changes: list) -> None:
    path.write_bytes(changed(changes))
    unharmed(lambda: classified(path))


def test_the_valid_file_is_read(unharmed: Callable, path: Path) -> None:
    path.write_bytes(packed(PICKLE))
    assert len(unharmed(lambda: classified(path))) == 2
