"""Hostile weights: safetensors files, shards, config.json."""

import json
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save

from spam_classifier.models.gpt2 import GPT2Backbone, GPT2Shape
from spam_classifier.models.gpt2_classifier import build_backbone
from spam_classifier.models.pretrained import TRANSPOSED, resolve_shape
from spam_classifier.training.module import SpamClassifier

SHAPE = GPT2Shape(layers=1, width=4, heads=1, context=3, vocabulary=5)
SETTINGS = SpamClassifier("random", layers=1, width=1, heads=1, context=1).hparams
STATE = {
    name: (tensor.t() if TRANSPOSED.fullmatch(name) else tensor).contiguous()
    for name, tensor in GPT2Backbone(SHAPE).state_dict().items()
}
VALID = save(STATE)
HEADER_BYTES = struct.unpack("<Q", VALID[:8])[0]
HEADER, TENSORS = json.loads(VALID[8 : 8 + HEADER_BYTES]), VALID[8 + HEADER_BYTES :]
CONFIG = {"model_type": "gpt2", "n_layer": 1, "n_embd": 4, "n_head": 1, "n_positions": 3, "vocab_size": 5}
SHARDS = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
NUMBERS = st.sampled_from([0, 1, 2, -1, 10**6, 10**9, 10**12, 2**63, 2**64 - 1, 10**30, 1.5, True, None, "4", [], {}])
TOKENS = (b'"dtype"', b'"shape"', b'"data_offsets"', b"[0,0]", b"-1", b"1e12", b"F64", b"[" * 5_000, b'{"a":' * 5_000)


def header_with(changes: list[tuple[str, str, object]]) -> bytes:
    """The valid file, with other values in its header."""
    header = json.loads(json.dumps(HEADER))
    for name, key, value in changes:
        if key == "rename":
            header[str(value)] = header.pop(name, {})
        elif key == "remove":
            header.pop(name, None)
        else:
            header.setdefault(name, {})[key] = value
    raw = json.dumps(header).encode()
    return struct.pack("<Q", len(raw)) + raw + TENSORS


NAMES = st.sampled_from(sorted(STATE))
KINDS = ["F64", "I8", "BOOL", "F8_E4M3", "C64", "", "x", "wte.weight", "h.9999999999.ln_1.bias", "\x1b"]
CHANGE = st.one_of(
    st.tuples(NAMES, st.sampled_from(["shape", "data_offsets"]), st.lists(NUMBERS, max_size=3)),
    st.tuples(NAMES, st.sampled_from(["dtype", "rename", "remove"]), st.sampled_from(KINDS)),
)
COMPLEMENTARY = [  # as large as can be without one number in the file
    [("wte.weight", "shape", [10**12, 0]), ("wpe.weight", "shape", [10**12, 0])],
    [(name, key, value) for name in STATE for key, value in (("shape", [10**12, 0]), ("data_offsets", [0, 0]))],
]
HEADERS = st.one_of(st.lists(CHANGE, max_size=4), st.sampled_from(COMPLEMENTARY)).map(header_with)
CONFIG_KEYS = st.sampled_from([*CONFIG, "n_inner", "n_ctx", "activation_function", "layer_norm_epsilon"])
CONFIGS = st.dictionaries(CONFIG_KEYS, NUMBERS, max_size=2)
LINKS = st.sampled_from(["/etc/passwd", "/dev/zero", SHARDS[1]])


def load(path: Path) -> None:
    build_backbone(resolve_shape(str(path)), {**SETTINGS, "weights": str(path)})


@given(data=st.data())
def test_safetensors(data: st.DataObject, damaged: Callable, unharmed: Callable, scratch: Path) -> None:
    (scratch / "config.json").write_text(json.dumps(CONFIG))
    path = scratch / "weights.safetensors"
    path.write_bytes(data.draw(HEADERS if data.draw(st.booleans()) else damaged(VALID, TOKENS)))
    unharmed(lambda: resolve_shape(str(path), heads=1))
    unharmed(lambda: build_backbone(SHAPE, {**SETTINGS, "weights": str(path)}))


@given(data=st.data())
def test_directories(data: st.DataObject, damaged: Callable, unharmed: Callable, scratch: Path) -> None:
    directory = scratch / "weights"
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    (directory / SHARDS[0]).write_bytes(VALID)
    if data.draw(st.booleans()):
        (directory / SHARDS[1]).symlink_to(data.draw(LINKS))
    if data.draw(st.booleans()):
        (directory / "pytorch_model.bin").write_bytes(b"cos\nsystem\n(S'touch executed'\ntR.")
    raw = json.dumps(CONFIG | data.draw(CONFIGS)).encode()
    (directory / "config.json").write_bytes(raw if data.draw(st.booleans()) else data.draw(damaged(raw, TOKENS)))
    before = sorted(directory.iterdir())
    unharmed(lambda: load(directory))
    assert sorted(directory.iterdir()) == before


def test_the_valid_file_is_read(unharmed: Callable, tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(VALID)
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    backbone = unharmed(lambda: build_backbone(SHAPE, {**SETTINGS, "weights": str(tmp_path)}))
    assert torch.equal(backbone.state_dict()["wte.weight"], STATE["wte.weight"])
