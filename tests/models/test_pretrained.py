import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub import constants, try_to_load_from_cache
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import GPT2Config, GPT2ForSequenceClassification, GPT2LMHeadModel, GPT2Model

from spam_classifier.errors import UserError
from spam_classifier.models.gpt2 import PUBLISHED_SHAPES, GPT2Backbone, GPT2Shape
from spam_classifier.models.pretrained import (
    HUB_REVISIONS,
    fetch_weights,
    load_weights,
    resolve_shape,
    weights_sha256,
)

SHAPE = GPT2Shape(layers=2, width=48, heads=3, context=64, vocabulary=300)


def config_of(shape: GPT2Shape) -> GPT2Config:
    return GPT2Config(
        n_layer=shape.layers,
        n_embd=shape.width,
        n_head=shape.heads,
        n_positions=shape.context,
        vocab_size=shape.vocabulary,
        initializer_range=0.2,  # far from zero, so that a transposed or forgotten tensor shows
        bos_token_id=0,
        eos_token_id=0,
        pad_token_id=0,
    )


def tensors_of(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone().contiguous() for name, tensor in model.state_dict().items()}


@pytest.fixture(autouse=True, scope="module")
def _seeded() -> None:
    torch.manual_seed(0)


@pytest.fixture
def model() -> GPT2Model:
    return GPT2Model(config_of(SHAPE)).eval()


@pytest.fixture
def checkpoint(model: GPT2Model, tmp_path: Path) -> Path:
    """A directory that holds the model in one file, with its config."""
    model.save_pretrained(tmp_path / "checkpoint")
    return tmp_path / "checkpoint"


def loaded(weights: Path | str, shape: GPT2Shape = SHAPE) -> GPT2Backbone:
    backbone = GPT2Backbone(shape).eval()
    load_weights(backbone, str(weights))
    return backbone


def assert_same_hidden_states(backbone: GPT2Backbone, peer: GPT2Model) -> None:
    vocabulary, context = backbone.shape.vocabulary, backbone.shape.context
    for length in (1, 7, context):
        input_ids = torch.randint(vocabulary, (2, length), generator=torch.Generator().manual_seed(length))
        with torch.no_grad():
            difference = backbone(input_ids) - peer(input_ids).last_hidden_state
        assert difference.abs().max() <= 1e-5


def refusal(weights: Path | str, shape: GPT2Shape = SHAPE) -> str:
    """The message of a failed load, which must be one line and leave the backbone as it was."""
    backbone = GPT2Backbone(shape)
    before = tensors_of(backbone)
    with pytest.raises(UserError) as caught:
        load_weights(backbone, str(weights))
    assert all(torch.equal(tensor, before[name]) for name, tensor in backbone.state_dict().items())
    return one_line(caught.value)


def one_line(error: UserError) -> str:
    assert "\n" not in str(error)
    return str(error)


@pytest.mark.parametrize("kind", [GPT2Model, GPT2LMHeadModel, GPT2ForSequenceClassification])
def test_directories_written_by_transformers(kind: Any, tmp_path: Path) -> None:
    model = kind(config_of(SHAPE)).eval()
    model.save_pretrained(tmp_path)
    assert resolve_shape(str(tmp_path)) == SHAPE
    assert_same_hidden_states(loaded(tmp_path), model if kind is GPT2Model else model.transformer)


def test_shards(model: GPT2Model, tmp_path: Path) -> None:
    model.save_pretrained(tmp_path, max_shard_size="50KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 2
    assert_same_hidden_states(loaded(tmp_path), model)
    (tmp_path / "config.json").unlink()
    assert resolve_shape(str(tmp_path), heads=3) == SHAPE


def test_digests_of_the_files_that_hold_tensors(model: GPT2Model, checkpoint: Path, tmp_path: Path) -> None:
    name = "model.safetensors"
    whole = {name: hashlib.sha256((checkpoint / name).read_bytes()).hexdigest()}
    assert weights_sha256(str(checkpoint)) == weights_sha256(str(checkpoint / name)) == whole
    model.save_pretrained(tmp_path / "shards", max_shard_size="50KB")
    shards = {path.name: path for path in (tmp_path / "shards").glob("*.safetensors")}
    assert len(shards) > 1
    digests = {shard: hashlib.sha256(path.read_bytes()).hexdigest() for shard, path in shards.items()}
    assert weights_sha256(str(tmp_path / "shards")) == digests
    assert weights_sha256("random") == {}


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_read_exactly(model: GPT2Model, dtype: torch.dtype, tmp_path: Path) -> None:
    model.to(dtype).save_pretrained(tmp_path)
    backbone = loaded(tmp_path)
    assert {parameter.dtype for parameter in backbone.parameters()} == {torch.float32}
    assert_same_hidden_states(backbone, GPT2Model.from_pretrained(tmp_path, dtype=torch.float32).eval())


def test_the_backbone_keeps_its_dtype(model: GPT2Model, checkpoint: Path) -> None:
    backbone = GPT2Backbone(SHAPE).bfloat16()
    load_weights(backbone, str(checkpoint))
    assert torch.equal(backbone.wte.weight, model.wte.weight.bfloat16())


def test_a_bare_file(model: GPT2Model, tmp_path: Path) -> None:
    file = tmp_path / "weights.safetensors"
    save_file(tensors_of(model), file)
    assert resolve_shape(str(file), heads=3) == SHAPE
    assert_same_hidden_states(loaded(file), model)


def test_a_file_is_described_by_the_config_beside_it(model: GPT2Model, checkpoint: Path) -> None:
    file = checkpoint / "model.safetensors"
    assert resolve_shape(str(file)) == SHAPE
    assert_same_hidden_states(loaded(file), model)


@pytest.mark.parametrize("prefix", ["", "transformer."])
def test_mask_buffers_and_a_tied_head_are_passed_over(model: GPT2Model, prefix: str, tmp_path: Path) -> None:
    tensors = tensors_of(model)
    for layer in range(SHAPE.layers):
        tensors[f"h.{layer}.attn.bias"] = torch.ones(1, 1, 64, 64).tril()
        tensors[f"h.{layer}.attn.masked_bias"] = torch.tensor(-1e4)
    tensors = {prefix + name: tensor for name, tensor in tensors.items()}
    tensors["lm_head.weight"] = model.wte.weight.detach().clone()
    file = tmp_path / "weights.safetensors"
    save_file(tensors, file)
    assert_same_hidden_states(loaded(file), model)


def test_random_leaves_the_backbone_as_it_is() -> None:
    backbone = GPT2Backbone(SHAPE)
    before = tensors_of(backbone)
    load_weights(backbone, "random")
    assert all(torch.equal(tensor, before[name]) for name, tensor in backbone.state_dict().items())


def test_a_home_directory_is_expanded(model: GPT2Model, checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(checkpoint.parent))
    assert resolve_shape("~/checkpoint") == SHAPE
    assert_same_hidden_states(loaded("~/checkpoint"), model)


@pytest.mark.parametrize("name", list(PUBLISHED_SHAPES))
def test_a_hub_name_has_its_published_shape(name: str) -> None:
    assert resolve_shape(name) == PUBLISHED_SHAPES[name]
    assert resolve_shape(name, context=1024) == PUBLISHED_SHAPES[name]


def test_four_given_sizes_are_taken_as_they_are() -> None:
    assert resolve_shape("no such file", 2, 48, 3, 64) == GPT2Shape(2, 48, 3, 64, 50257)


@given(
    layers=st.none() | st.integers(1, 50),
    head_width=st.integers(1, 100),
    heads=st.none() | st.integers(1, 20),
    context=st.none() | st.integers(1, 4096),
)
def test_random_fills_in_what_is_not_given(
    layers: int | None, head_width: int, heads: int | None, context: int | None
) -> None:
    width = head_width * heads if heads else head_width * 64
    shape = resolve_shape("random", layers, width, heads, context)
    assert shape == GPT2Shape(layers or 12, width, heads or head_width, context or 1024)


def test_random_without_sizes_is_gpt2_124m() -> None:
    assert resolve_shape("random") == PUBLISHED_SHAPES["gpt2"]
    assert resolve_shape("random", width=32).heads == 1
    assert resolve_shape("random", heads=6) == GPT2Shape(12, 768, 6)


def test_heads_of_a_bare_file_are_64_wide_unless_given(tmp_path: Path) -> None:
    file = tmp_path / "weights.safetensors"
    save_file(tensors_of(GPT2Model(config_of(GPT2Shape(1, 128, 2, 8, 10)))), file)
    assert resolve_shape(str(file)) == GPT2Shape(1, 128, 2, 8, 10)
    assert resolve_shape(str(file), heads=4) == GPT2Shape(1, 128, 4, 8, 10)


def test_a_bare_file_whose_width_is_no_multiple_of_64_needs_heads(model: GPT2Model, tmp_path: Path) -> None:
    file = tmp_path / "weights.safetensors"
    save_file(tensors_of(model), file)
    with pytest.raises(UserError, match=r"weights\.safetensors of width 48 .*give --model\.heads") as caught:
        resolve_shape(str(file))
    one_line(caught.value)


@pytest.mark.parametrize("option", ["layers", "width", "heads", "context"])
def test_a_given_size_must_be_that_of_the_checkpoint(option: str, checkpoint: Path) -> None:
    for weights, shape in ((str(checkpoint), SHAPE), ("gpt2", PUBLISHED_SHAPES["gpt2"])):
        with pytest.raises(UserError) as caught:
            resolve_shape(weights, **{option: 5})
        assert f"--model.{option} 5 disagrees with {weights}, which has {getattr(shape, option)}" in one_line(
            caught.value
        )


def test_weights_that_are_nothing(tmp_path: Path) -> None:
    for weights in ("gpt3", str(tmp_path / "gone")):
        with pytest.raises(UserError) as caught:
            resolve_shape(weights)
        for message in (one_line(caught.value), refusal(weights)):
            assert f"--model.weights {weights}" in message
            assert "gpt2, gpt2-medium, gpt2-large, gpt2-xl, the path of a checkpoint, or random" in message


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("model_type", "bert"),
        ("activation_function", "relu"),
        ("layer_norm_epsilon", 1e-6),
        ("scale_attn_weights", False),
        ("scale_attn_by_inverse_layer_idx", True),
        ("reorder_and_upcast_attn", True),
        ("add_cross_attention", True),
        ("n_inner", 100),
        ("n_layer", None),
        ("n_embd", "48"),
        ("vocab_size", 1.5),
        ("n_head", 5),
        ("n_positions", 0),
    ],
)
def test_a_config_that_is_not_this_gpt2_is_refused(checkpoint: Path, setting: str, value: Any) -> None:
    file = checkpoint / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {setting: value}))
    with pytest.raises(UserError) as caught:
        resolve_shape(str(checkpoint))
    message = one_line(caught.value)
    assert message.startswith(str(file))
    assert setting in message or "heads" in message or "context" in message
    assert refusal(checkpoint) == message  # also when all four sizes were given


def test_an_old_config_with_n_ctx(checkpoint: Path) -> None:
    file = checkpoint / "config.json"
    content = json.loads(file.read_text())
    content["n_ctx"] = content.pop("n_positions")
    file.write_text(json.dumps(content))
    assert resolve_shape(str(checkpoint)) == SHAPE


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe", b"[1]"])
def test_a_broken_config(checkpoint: Path, content: bytes) -> None:
    (checkpoint / "config.json").write_bytes(content)
    assert str(checkpoint / "config.json") in refusal(checkpoint)


def test_another_number_of_heads_than_the_checkpoint_has(checkpoint: Path) -> None:
    message = refusal(checkpoint, GPT2Shape(2, 48, 4, 64, 300))
    assert f"--model.heads 4 disagrees with {checkpoint}, which has 3" in message


def rewrite(checkpoint: Path, change: Callable[[dict[str, Tensor]], object]) -> Path:
    file = checkpoint / "model.safetensors"
    tensors = load_file(file)
    change(tensors)
    save_file(tensors, file)
    return file


def test_missing_tensors_are_named(checkpoint: Path) -> None:
    rewrite(checkpoint, lambda tensors: tensors.pop("h.1.mlp.c_fc.bias"))
    message = refusal(checkpoint)
    assert f"{checkpoint} does not fit the backbone: missing h.1.mlp.c_fc.bias:" in message


def test_more_than_three_names_are_counted(checkpoint: Path) -> None:
    message = refusal(checkpoint, GPT2Shape(3, 48, 3, 64, 300))
    assert "missing h.2.ln_1.weight, h.2.ln_1.bias, h.2.attn.c_attn.weight and 9 more:" in message


def test_unexpected_tensors_are_named(checkpoint: Path) -> None:
    message = refusal(checkpoint, GPT2Shape(1, 48, 3, 64, 300))
    assert "unexpected h.1.attn.c_attn.bias, h.1.attn.c_attn.weight, h.1.attn.c_proj.bias and 9 more:" in message
    rewrite(checkpoint, lambda tensors: tensors.update({"h.0.crossattention.c_attn.weight": torch.ones(3)}))
    assert "unexpected h.0.crossattention.c_attn.weight:" in refusal(checkpoint)


def test_misshapen_tensors_are_named(checkpoint: Path) -> None:
    assert "misshapen wpe.weight (F32 [64, 48], not a float [32, 48]):" in refusal(
        checkpoint, GPT2Shape(2, 48, 3, 32, 300)
    )
    name = "h.0.attn.c_attn.weight"  # as nn.Linear would store it
    rewrite(checkpoint, lambda tensors: tensors.update({name: tensors[name].t().contiguous()}))
    assert f"misshapen {name} (F32 [144, 48], not a float [48, 144]):" in refusal(checkpoint)


def test_integer_tensors_are_refused(checkpoint: Path) -> None:
    rewrite(checkpoint, lambda tensors: tensors.update({"ln_f.weight": torch.ones(48, dtype=torch.int8)}))
    assert "misshapen ln_f.weight (I8 [48], not a float [48])" in refusal(checkpoint)


@pytest.mark.parametrize("name", ["wte.weight", "wpe.weight", "h.0.attn.c_attn.weight"])
def test_a_bare_file_without_a_matrix_that_tells_the_shape(model: GPT2Model, tmp_path: Path, name: str) -> None:
    file = tmp_path / "weights.safetensors"
    for tensors in (tensors_of(model) | {name: torch.ones(48)}, tensors_of(model)):
        if tensors[name].dim() == 2:
            del tensors[name]
        save_file(tensors, file)
        assert f"{file} has no matrix {name}" in refusal(file)


def test_a_tensor_stored_twice(checkpoint: Path) -> None:
    rewrite(checkpoint, lambda tensors: tensors.update({"transformer.wte.weight": torch.ones(300, 48)}))
    assert "wte.weight is stored twice" in refusal(checkpoint)


def test_an_untied_head(checkpoint: Path) -> None:
    rewrite(checkpoint, lambda tensors: tensors.update({"lm_head.weight": tensors["wte.weight"] + 1}))
    assert "lm_head.weight differs from wte.weight" in refusal(checkpoint)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_numbers_that_are_not_finite(checkpoint: Path, number: float) -> None:
    rewrite(checkpoint, lambda tensors: tensors["ln_f.bias"].fill_(number))  # the last tensor of all
    assert "ln_f.bias holds NaN or infinite numbers" in refusal(checkpoint)


@pytest.mark.parametrize("damage", ["cut", "empty", "pickle"])
def test_a_file_that_is_not_safetensors(model: GPT2Model, tmp_path: Path, damage: str) -> None:
    file = tmp_path / "weights"
    if damage == "pickle":
        torch.save(model.state_dict(), file)
    else:
        save_file(tensors_of(model), file)
        file.write_bytes(file.read_bytes()[:-100] if damage == "cut" else b"")
    for message in (refusal(file), refusal_of_shape(file)):
        assert f"{file} cannot be read as safetensors" in message
        assert "save_pretrained" in message


def refusal_of_shape(weights: Path) -> str:
    with pytest.raises(UserError) as caught:
        resolve_shape(str(weights))
    return one_line(caught.value)


def test_a_directory_of_pickled_weights(model: GPT2Model, checkpoint: Path) -> None:
    (checkpoint / "model.safetensors").unlink()
    torch.save(model.state_dict(), checkpoint / "pytorch_model.bin")
    message = refusal(checkpoint)
    assert f"{checkpoint} holds neither model.safetensors nor model.safetensors.index.json" in message
    assert "GPT2LMHeadModel.from_pretrained(DIRECTORY).save_pretrained(NEW_DIRECTORY)" in message


def test_a_missing_shard(model: GPT2Model, tmp_path: Path) -> None:
    model.save_pretrained(tmp_path, max_shard_size="50KB")
    shard = min(tmp_path.glob("*.safetensors"))
    shard.unlink()
    assert f"the shard {shard.name} is missing" in refusal(tmp_path)


def test_a_shard_with_a_name_that_no_file_has(checkpoint: Path) -> None:
    (checkpoint / "model.safetensors").unlink()
    for shard in ("x" * 999, "a\0b", ".", ""):
        (checkpoint / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"wte.weight": shard}}))
        assert "is missing" in refusal(checkpoint)


@pytest.mark.parametrize("shard", ["../outside.safetensors", "sub/a.safetensors", "sub\\a.safetensors", ".."])
def test_shards_stay_in_their_directory(model: GPT2Model, tmp_path: Path, shard: str) -> None:
    directory = tmp_path / "checkpoint"
    model.save_pretrained(directory, max_shard_size="50KB")
    save_file(tensors_of(model), tmp_path / "outside.safetensors")
    index = directory / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"wte.weight": shard}}))
    message = refusal(directory)
    assert str(index) in message
    assert f"{shard!r} must be a file beside the index" in message


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"weight_map": {"wte.weight": 1}}'])
def test_a_broken_index(checkpoint: Path, content: str) -> None:
    (checkpoint / "model.safetensors").unlink()
    index = checkpoint / "model.safetensors.index.json"
    index.write_text(content)
    assert str(index) in refusal(checkpoint)


MEDIUM_SHAPED = GPT2Shape(layers=1, width=64, heads=16, context=8, vocabulary=20)


def cached_file(cache: Path, name: str) -> Path:
    return cache / f"models--openai-community--{name}" / "snapshots" / HUB_REVISIONS[name] / "model.safetensors"


@pytest.mark.parametrize("weights", ["random", "some/path"])
def test_nothing_is_fetched_without_a_hub_name(weights: str) -> None:
    fetch_weights(weights)


def test_a_file_placed_by_hand_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    peer = GPT2Model(config_of(MEDIUM_SHAPED)).eval()
    file = cached_file(tmp_path, "gpt2-medium")
    file.parent.mkdir(parents=True)
    save_file(tensors_of(peer), file)
    fetch_weights("gpt2-medium")
    assert_same_hidden_states(loaded("gpt2-medium", MEDIUM_SHAPED), peer)


def test_a_wrong_file_linked_into_the_cache_by_hand_is_unlinked_not_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    link, original = cached_file(tmp_path / "cache", "gpt2"), tmp_path / "precious.safetensors"
    original.write_bytes(b"somebody's own weights")
    link.parent.mkdir(parents=True)
    link.symlink_to(original)
    with pytest.raises(UserError, match="SHA-256"):
        fetch_weights("gpt2")
    assert original.exists()
    assert not link.is_symlink()


@pytest.mark.parametrize("right", [True, False])
def test_a_blob_linked_into_the_store_shared_between_repositories(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, right: bool
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    stored = tmp_path / "blobs" / "ab" / "abcdef"
    link = cached_file(tmp_path, "gpt2-xl")
    blob = link.parents[2] / "blobs" / hashlib.sha256(b"weights").hexdigest()
    for file in (stored, link, blob):
        file.parent.mkdir(parents=True)
    stored.write_bytes(b"weights" if right else b"damaged")
    blob.symlink_to(os.path.relpath(stored, blob.parent))
    link.symlink_to(os.path.relpath(blob, link.parent))
    if right:
        fetch_weights("gpt2-xl")
    else:
        with pytest.raises(UserError, match=f"not {blob.name}: removed {link}"):
            fetch_weights("gpt2-xl")
    assert [file.is_file() for file in (link, blob, stored)] == [right] * 3
    assert [file.is_symlink() for file in (link, blob)] == [right] * 2


class Hub:
    """A hub on 127.0.0.1: serves one file per name, and counts the requests."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.announced: dict[str, str] = {}
        self.requests: list[str] = []
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:
                hub.requests.append(self.path)
                name = self.path.split("/")[2]
                revision = HUB_REVISIONS[name]
                known = self.path == f"/openai-community/{name}/resolve/{revision}/model.safetensors"
                if not known or name not in hub.files:
                    self.send_response(404)
                    self.send_header("X-Error-Code", "EntryNotFound")
                else:
                    self.send_response(200)
                    self.send_header("ETag", f'"{hub.announced[name]}"')
                    self.send_header("X-Repo-Commit", revision)
                    self.send_header("Content-Length", str(len(hub.files[name])))
                self.end_headers()
                if self.command == "GET" and name in hub.files:
                    self.wfile.write(hub.files[name])

            do_GET = do_HEAD  # noqa: N815  # http.server's own naming

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def serve(self, name: str, content: bytes, announced: bytes | None = None) -> None:
        self.files[name] = content
        self.announced[name] = hashlib.sha256(content if announced is None else announced).hexdigest()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


FETCH = """
import json, sys, time
from spam_classifier.errors import UserError
from spam_classifier.models.pretrained import fetch_weights

time.sleep = lambda seconds: None  # the hub client waits between attempts
outcomes = []
for name in sys.argv[1:]:
    try:
        fetch_weights(name)
        outcomes.append("fetched")
    except UserError as error:
        outcomes.append(str(error))
print(json.dumps(outcomes))
"""


def fetch_in_subprocess(*names: str, **environment: str) -> list[str]:
    """Fetch one after the other where the hub's address and cache are read from a fresh environment."""
    run = subprocess.run(
        [sys.executable, "-c", FETCH, *names],
        env=os.environ | {"HF_HUB_DISABLE_XET": "1", "HF_HUB_ETAG_TIMEOUT": "2"} | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


@pytest.fixture
def hub() -> Iterator[Hub]:
    hub = Hub()
    yield hub
    hub.close()


@pytest.mark.slow
def test_downloads(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    peer = GPT2Model(config_of(MEDIUM_SHAPED)).eval()
    save_file(tensors_of(peer), tmp_path / "good")
    good = (tmp_path / "good").read_bytes()
    hub.serve("gpt2-medium", good)
    hub.serve("gpt2-xl", good[:-1] + b"\x00", announced=good)
    hub.serve("gpt2", good)
    environment = {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path)}
    cache = tmp_path / "hub"

    names = ["gpt2-medium", "gpt2-large", "gpt2-xl", "gpt2", "gpt2-medium"]
    medium, absent, corrupt, other, again = fetch_in_subprocess(*names, **environment)
    for message in (absent, corrupt, other):
        assert "\n" not in message

    assert medium == again == "fetched"
    assert len([path for path in hub.requests if "gpt2-medium/" in path]) == 2  # HEAD and GET, once
    assert cached_file(cache, "gpt2-medium").read_bytes() == good
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    assert_same_hidden_states(loaded("gpt2-medium", MEDIUM_SHAPED), peer)

    assert "cannot download openai-community/gpt2-large" in absent
    assert "404" in absent

    for name, message, expected in (
        ("gpt2-xl", corrupt, hub.announced["gpt2-xl"]),
        ("gpt2", other, "248dfc39"),
    ):
        assert f"model.safetensors of openai-community/{name} at revision {HUB_REVISIONS[name]}" in message
        assert f"not {expected}" in message
        assert f"removed {cached_file(cache, name)}" in message
        assert not [file for file in (cache / f"models--openai-community--{name}").rglob("*") if file.is_file()]

    hub.close()
    cached, unreachable = fetch_in_subprocess("gpt2-medium", "gpt2-large", **environment)
    assert cached == "fetched"
    assert "Connection refused" in unreachable
    assert_names_the_ways_out(unreachable, "gpt2-large", hub.url, cache)


@pytest.mark.slow
def test_offline_mode_and_an_endpoint_that_is_none(hub: Hub, tmp_path: Path) -> None:
    environment = {"HF_HOME": str(tmp_path), "HF_ENDPOINT": hub.url}
    (offline,) = fetch_in_subprocess("gpt2", HF_HUB_OFFLINE="1", **environment)
    assert "HF_HUB_OFFLINE" in offline
    assert_names_the_ways_out(offline, "gpt2", hub.url, tmp_path / "hub")
    assert hub.requests == []

    (nonsense,) = fetch_in_subprocess("gpt2", **environment | {"HF_ENDPOINT": "no-address"})
    assert_names_the_ways_out(nonsense, "gpt2", "no-address", tmp_path / "hub")


def assert_names_the_ways_out(message: str, name: str, endpoint: str, cache: Path) -> None:
    revision = HUB_REVISIONS[name]
    assert "\n" not in message
    assert f"openai-community/{name} at revision {revision}" in message
    assert f"{endpoint}/openai-community/{name}/resolve/{revision}/model.safetensors" in message
    assert f"by hand in {cached_file(cache, name).parent}" in message
    assert "--model.weights the DIRECTORY" in message
    assert "--model.weights random" in message


@pytest.mark.slow
def test_true_gpt2_continues_the_sentence() -> None:
    cached = try_to_load_from_cache("openai-community/gpt2", "model.safetensors", revision=HUB_REVISIONS["gpt2"])
    if not isinstance(cached, str):
        pytest.skip("the true GPT-2 weights are not in the hub's cache")
    from spam_classifier.data.encoding import gpt2_tokenizer

    fetch_weights("gpt2")
    backbone = loaded("gpt2", resolve_shape("gpt2"))
    prompt, expected = (
        gpt2_tokenizer().encode_ordinary(text)
        for text in (
            "Every effort moves you",
            " forward.\n\nThe first step is to understand the importance of your work",
        )
    )
    tokens = list(prompt)
    with torch.no_grad():
        for _ in expected:
            hidden = backbone(torch.tensor([tokens]))[0, -1]
            tokens.append(int(nn.functional.linear(hidden, backbone.wte.weight).argmax()))
    assert tokens == prompt + expected
