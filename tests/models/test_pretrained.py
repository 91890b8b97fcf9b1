import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub import constants, try_to_load_from_cache
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import GPT2Config, GPT2ForSequenceClassification, GPT2LMHeadModel, GPT2Model

from spam_classifier.errors import UserError
from spam_classifier.models import pretrained
from spam_classifier.models.gpt2 import PUBLISHED_SHAPES, GPT2Backbone, GPT2Shape, without_weights
from spam_classifier.models.pretrained import HUB_REVISIONS, fetch_weights, load_weights, resolve_shape, weights_sha256

SHAPE = GPT2Shape(layers=2, width=48, heads=3, context=64, vocabulary=300)
NOT_FINITE = "ln_f.bias holds NaN or infinite numbers"
FILE = "model.safetensors"


def config_of(shape: GPT2Shape) -> GPT2Config:
    return GPT2Config(
        n_layer=shape.layers,
        n_embd=shape.width,
        n_head=shape.heads,
        n_positions=shape.context,
        vocab_size=shape.vocabulary,
        initializer_range=0.2,  # far from zero, so that a transposed or forgotten tensor shows
        **dict.fromkeys(("bos_token_id", "eos_token_id", "pad_token_id"), 0),
    )


def tensors_of(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone().contiguous() for name, tensor in model.state_dict().items()}


@pytest.fixture
def model() -> GPT2Model:
    torch.manual_seed(0)
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
    """The one line of a failed load, which leaves the backbone unchanged."""
    backbone = GPT2Backbone(shape)
    before = tensors_of(backbone)
    message = one_line(lambda: load_weights(backbone, str(weights)))
    assert all(torch.equal(tensor, before[name]) for name, tensor in backbone.state_dict().items())
    return message


def refusal_of_shape(weights: Path | str, **sizes: int) -> str:
    return one_line(lambda: resolve_shape(str(weights), **sizes))


def one_line(refused: Callable[[], object]) -> str:
    with pytest.raises(UserError) as caught:
        refused()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("kind", [GPT2LMHeadModel, GPT2ForSequenceClassification])
def test_models_with_a_head(kind: Any, tmp_path: Path) -> None:
    model = kind(config_of(SHAPE)).eval()
    model.save_pretrained(tmp_path)
    assert resolve_shape(str(tmp_path)) == SHAPE
    assert_same_hidden_states(loaded(tmp_path), model.transformer)


def test_directory_and_file(model: GPT2Model, checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(checkpoint.parent))
    for weights in (checkpoint, "~/checkpoint", checkpoint / FILE):
        assert resolve_shape(str(weights)) == SHAPE
        assert_same_hidden_states(loaded(weights), model)
        assert weights_sha256(str(weights)) == {FILE: sha256(checkpoint / FILE)}
    config = checkpoint / "config.json"
    config.write_text(config.read_text().replace('"n_positions"', '"n_ctx"'))  # as old ones have it
    assert resolve_shape(str(checkpoint)) == SHAPE
    config.unlink()
    assert f"{config} is missing" in refusal(checkpoint / FILE)


def test_shards(model: GPT2Model, tmp_path: Path) -> None:
    model.save_pretrained(tmp_path, max_shard_size="50KB")
    shards = list(tmp_path.glob("*.safetensors"))
    assert len(shards) > 2
    assert_same_hidden_states(loaded(tmp_path), model)
    assert weights_sha256(str(tmp_path)) == {path.name: sha256(path) for path in shards}
    shards[0].unlink()
    assert "does not fit the backbone: missing " in refusal(tmp_path)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_read_exactly(model: GPT2Model, dtype: torch.dtype, tmp_path: Path) -> None:
    model.to(dtype).save_pretrained(tmp_path)
    backbone = loaded(tmp_path)
    assert {parameter.dtype for parameter in backbone.parameters()} == {torch.float32}
    assert_same_hidden_states(backbone, GPT2Model.from_pretrained(tmp_path, dtype=torch.float32).eval())
    load_weights(backbone.to(dtype), str(tmp_path))
    assert torch.equal(backbone.wte.weight, model.wte.weight)


@pytest.mark.parametrize("prefix", ["", "transformer."])
def test_mask_buffers_and_a_tied_head_are_ignored(model: GPT2Model, prefix: str, tmp_path: Path) -> None:
    tensors = tensors_of(model)
    for layer in range(SHAPE.layers):
        tensors[f"h.{layer}.attn.bias"] = torch.ones(1, 1, 64, 64).tril()
        tensors[f"h.{layer}.attn.masked_bias"] = torch.tensor(-1e4)
    tensors = {prefix + name: tensor for name, tensor in tensors.items()}
    save_file(tensors | {"lm_head.weight": model.wte.weight.detach().clone()}, tmp_path / FILE)
    model.config.save_pretrained(tmp_path)
    assert_same_hidden_states(loaded(tmp_path / FILE), model)


def test_memory_is_taken_after_the_only_look_into_a_file_that_fits(
    model: GPT2Model, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Path] = []

    def counted(file: Path, framework: str) -> Any:
        opened.append(file)
        return safe_open(file, framework=framework)

    monkeypatch.setattr(pretrained, "safe_open", counted)
    with without_weights():
        backbone, other = GPT2Backbone(SHAPE), GPT2Backbone(replace(SHAPE, layers=1))
    load_weights(backbone, str(checkpoint))
    assert opened == [checkpoint / FILE]
    assert_same_hidden_states(backbone.eval(), model)
    with pytest.raises(UserError, match="unexpected"):
        load_weights(other, str(checkpoint))
    assert other.wte.weight.is_meta


def test_random_weights_and_shapes_need_no_file() -> None:
    backbone = GPT2Backbone(SHAPE)
    before = tensors_of(backbone)
    load_weights(backbone, "random")
    assert all(torch.equal(tensor, before[name]) for name, tensor in backbone.state_dict().items())
    assert weights_sha256("random") == {}
    for name, shape in PUBLISHED_SHAPES.items():
        assert resolve_shape(name) == resolve_shape(name, context=1024) == shape
    assert resolve_shape("no such file", 2, 48, 3, 64) == GPT2Shape(2, 48, 3, 64, 50257)
    assert resolve_shape("random") == PUBLISHED_SHAPES["gpt2"]
    assert resolve_shape("random", width=32).heads == 1
    assert resolve_shape("random", heads=6) == GPT2Shape(12, 768, 6)


sizes = st.none() | st.integers(1, 50)


@given(layers=sizes, head_width=st.integers(1, 100), heads=sizes, context=sizes)
def test_random_fills_in_missing_sizes(
    layers: int | None, head_width: int, heads: int | None, context: int | None
) -> None:
    width = head_width * (heads or 64)
    shape = resolve_shape("random", layers, width, heads, context)
    assert shape == GPT2Shape(layers or 12, width, heads or head_width, context or 1024)


@pytest.mark.parametrize("option", ["layers", "width", "heads", "context"])
def test_a_given_size_must_be_that_of_the_checkpoint(option: str, checkpoint: Path) -> None:
    for weights, shape in ((str(checkpoint), SHAPE), ("gpt2", PUBLISHED_SHAPES["gpt2"])):
        told = f"--model.{option} 5 disagrees with {weights}, which has {getattr(shape, option)}"
        assert told in refusal_of_shape(weights, **{option: 5})


@pytest.mark.parametrize("weights", ["gpt3", "/no/such/path"])
def test_weights_that_do_not_exist(weights: str) -> None:
    for message in (refusal_of_shape(weights), refusal(weights)):
        assert f"--model.weights {weights}" in message
        assert "distilgpt2, ORGANISATION/NAME on the hub, the path of a checkpoint or run, or random" in message


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        *(("model_type", "bert"), ("activation_function", "relu"), ("layer_norm_epsilon", 1e-6)),
        *(("scale_attn_weights", False), ("scale_attn_by_inverse_layer_idx", True), ("reorder_and_upcast_attn", True)),
        *(("add_cross_attention", True), ("n_inner", 100), ("n_layer", None), ("n_embd", "48"), ("vocab_size", 1.5)),
        *(("n_head", 5), ("n_positions", 0)),
    ],
)
def test_a_config_of_another_architecture_is_refused(checkpoint: Path, setting: str, value: Any) -> None:
    file = checkpoint / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {setting: value}))
    message = refusal_of_shape(checkpoint)
    assert message.startswith(str(file))
    of_shape = {"n_layer": "layers", "n_embd": "width", "n_head": "heads", "n_positions": "context"}
    assert setting in message or of_shape.get(setting, "vocabulary") in message
    assert refusal(checkpoint) == message  # also if all four sizes were given


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe", b"[1]"])
def test_broken_json_is_refused(checkpoint: Path, content: bytes) -> None:
    (checkpoint / "config.json").write_bytes(content)
    assert str(checkpoint / "config.json") in refusal(checkpoint)


@pytest.mark.parametrize(
    ("change", "sizes", "told"),
    [
        ({"h.1.mlp.c_fc.bias": None}, {}, "does not fit the backbone: missing h.1.mlp.c_fc.bias:"),
        ({"h.0.other": torch.ones(3)}, {}, "unexpected h.0.other:"),
        (
            {"h.0.attn.c_attn.weight": torch.ones(144, 48)},
            {},
            "(F32 [144, 48], not a float [48, 144]):",
        ),  # as in nn.Linear
        ({"ln_f.weight": torch.ones(48).char()}, {}, "misshapen ln_f.weight (I8 [48], not a float [48])"),
        ({"transformer.wte.weight": torch.ones(300, 48)}, {}, "wte.weight is stored twice"),
        *(({"ln_f.bias": torch.full((48,), float(number))}, {}, NOT_FINITE) for number in ("nan", "inf", "-inf")),
        (
            {},
            {"layers": 3},
            "missing h.2.ln_1.bias, missing h.2.attn.c_attn.weight and 9 more:",
        ),
        ({}, {"layers": 1}, "unexpected h.1.attn.c_attn.bias, unexpected h.1.attn.c_attn.weight, "),
        ({}, {"context": 32}, "misshapen wpe.weight (F32 [64, 48], not a float [32, 48]):"),
        ({}, {"heads": 4}, "--model.heads 4 disagrees with"),
    ],
)
def test_tensors_that_do_not_fit_are_named(checkpoint: Path, change: dict, sizes: dict[str, int], told: str) -> None:
    tensors = {**load_file(checkpoint / FILE), **change}
    save_file({name: tensor for name, tensor in tensors.items() if tensor is not None}, checkpoint / FILE)
    assert told in refusal(checkpoint, replace(SHAPE, **sizes))


@pytest.mark.parametrize("damage", ["cut", "empty", "pickle"])
def test_a_file_that_is_not_safetensors(model: GPT2Model, checkpoint: Path, damage: str) -> None:
    file = checkpoint / FILE
    if damage == "pickle":
        torch.save(model.state_dict(), file)
    else:
        file.write_bytes(file.read_bytes()[:-100] if damage == "cut" else b"")
    assert f"{file} cannot be read as safetensors" in refusal(file)
    (checkpoint / "config.json").unlink()
    for message in (refusal(file), refusal_of_shape(file)):
        assert f"{file} cannot be read as safetensors" in message
        assert "save_pretrained" in message


def test_a_directory_of_pickled_weights(checkpoint: Path) -> None:
    (checkpoint / FILE).rename(checkpoint / "pytorch_model.bin")
    message = refusal(checkpoint)
    assert f"{checkpoint} holds no model.safetensors" in message
    assert "GPT2LMHeadModel.from_pretrained(DIRECTORY).save_pretrained(NEW_DIRECTORY)" in message


MEDIUM_SHAPED = GPT2Shape(layers=1, width=64, heads=16, context=8, vocabulary=20)


def cached_file(cache: Path, name: str) -> Path:
    return cache / f"models--openai-community--{name}" / "snapshots" / HUB_REVISIONS[name] / FILE


def test_a_file_placed_by_hand_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    peer = GPT2Model(config_of(MEDIUM_SHAPED)).eval()
    file = cached_file(tmp_path, "gpt2-medium")
    file.parent.mkdir(parents=True)
    save_file(tensors_of(peer), file)
    for weights in ("gpt2-medium", "random", "some/path"):
        fetch_weights(weights)
    assert_same_hidden_states(loaded("gpt2-medium", MEDIUM_SHAPED), peer)


class Hub(ThreadingHTTPServer):
    """A hub on 127.0.0.1: serves a file per name, and records the requests."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.files: dict[str, list[bytes]] = {}  # what each download gets, the last one again and again
        self.announced: dict[str, str] = {}
        self.requests: list[str] = []
        self.url = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()


class Answer(BaseHTTPRequestHandler):
    server: Hub

    def do_HEAD(self) -> None:
        self.server.requests.append(f"{self.command} {self.path}")
        name = self.path.split("/")[2]
        files = self.server.files.get(name)
        found = files and self.path == f"/openai-community/{name}/resolve/{HUB_REVISIONS[name]}/{FILE}"
        headers = {"X-Error-Code": "EntryNotFound"}
        if files and found:
            headers = {"ETag": f'"{self.server.announced[name]}"', "X-Repo-Commit": HUB_REVISIONS[name]}
            headers["Content-Length"] = str(len(files[0]))
        self.send_response(200 if found else 404)
        for header in headers.items():
            self.send_header(*header)
        self.end_headers()
        if files and found and self.command == "GET":
            self.wfile.write(files.pop(0) if len(files) > 1 else files[0])

    do_GET = do_HEAD  # noqa: N815  # http.server's own naming

    def log_message(self, format: str, *args: object) -> None: ...


FETCH = """
import json, os, sys, time
from spam_classifier.errors import UserError
from spam_classifier.models import pretrained
time.sleep = lambda seconds: None  # the hub client waits between attempts
pretrained.GPT2_SHA256 = os.environ.get("GPT2_SHA256", pretrained.GPT2_SHA256)
outcomes = []
for name in sys.argv[1:]:
    try:
        pretrained.fetch_weights(name)
        outcomes.append("fetched")
    except UserError as error:
        outcomes.append(str(error))
print(json.dumps(outcomes))
"""


def fetch_in_subprocess(*names: str, **environment: str) -> list[str]:
    """Fetch one after the other in a new process, which reads the hub's address and cache from the environment."""
    environment = {**os.environ, "HF_HUB_DISABLE_XET": "1", "HF_HUB_ETAG_TIMEOUT": "2", **environment}
    command = [sys.executable, "-c", FETCH, *names]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


@pytest.fixture
def hub() -> Iterator[Hub]:
    with Hub() as hub:
        yield hub
        hub.shutdown()


@pytest.mark.slow
def test_downloads(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    peer = GPT2Model(config_of(MEDIUM_SHAPED)).eval()
    save_file(tensors_of(peer), tmp_path / "good")
    good = (tmp_path / "good").read_bytes()
    damaged = good[:-1] + b"\x00"
    hub.files = {"gpt2": [good], "gpt2-medium": [damaged, good], "gpt2-xl": [damaged]}
    hub.announced = dict.fromkeys(hub.files, hashlib.sha256(good).hexdigest())
    environment = {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path)}
    cache = tmp_path / "hub"
    own, link = tmp_path / "own.safetensors", cached_file(cache, "gpt2")
    own.write_bytes(b"somebody's own weights")
    link.parent.mkdir(parents=True)
    link.symlink_to(own)

    names = ["gpt2-medium", "gpt2-medium", "gpt2-large", "gpt2-xl", "gpt2-xl", "gpt2"]
    medium, again, absent, *corrupt, linked = fetch_in_subprocess(*names, **environment)
    assert not any("\n" in message for message in (absent, *corrupt, linked))
    assert medium == again == "fetched"
    assert sum(request.startswith("GET /openai-community/gpt2-medium/") for request in hub.requests) == 2
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    assert_same_hidden_states(loaded("gpt2-medium", MEDIUM_SHAPED), peer)

    assert "cannot download openai-community/gpt2-large" in absent
    assert "404" in absent
    for message in corrupt:  # each time, not taken from the cache the second time
        assert f"{cached_file(cache, 'gpt2-xl')} had SHA-256" in message
        assert f"not {hub.announced['gpt2-xl']}" in message
    assert f"{link} had SHA-256" in linked
    assert "not 248dfc39" in linked
    assert not link.is_symlink()
    assert own.exists()

    environment["GPT2_SHA256"] = hub.announced["gpt2"]
    assert fetch_in_subprocess("gpt2", **environment) == ["fetched"]
    link.resolve().write_bytes(damaged)  # in the cache
    assert fetch_in_subprocess("gpt2", **environment) == ["fetched"]
    assert link.read_bytes() == good

    hub.shutdown()
    hub.server_close()
    cached, unreachable = fetch_in_subprocess("gpt2-medium", "gpt2-large", **environment)
    assert cached == "fetched"
    assert "Connection refused" in unreachable
    assert_names_the_ways_out(unreachable, "gpt2-large", hub.url)


@pytest.mark.slow
def test_offline_mode_and_an_invalid_endpoint(hub: Hub, tmp_path: Path) -> None:
    environment = {"HF_HOME": str(tmp_path), "HF_ENDPOINT": hub.url}
    names = ("gpt2", "gpt2-large")
    for name, offline in zip(names, fetch_in_subprocess(*names, HF_HUB_OFFLINE="1", **environment), strict=True):
        assert "HF_HUB_OFFLINE" in offline
        assert_names_the_ways_out(offline, name, hub.url)
    assert hub.requests == []

    (nonsense,) = fetch_in_subprocess("gpt2", **environment | {"HF_ENDPOINT": "no-address"})
    assert_names_the_ways_out(nonsense, "gpt2", "no-address")


def assert_names_the_ways_out(message: str, name: str, endpoint: str) -> None:
    revision = HUB_REVISIONS[name]
    assert "\n" not in message
    assert f"openai-community/{name} at revision {revision}" in message
    assert f"{endpoint}/openai-community/{name}/resolve/{revision}/{FILE}" in message
    assert "--model.weights the DIRECTORY" in message
    assert "--model.weights random" in message


@pytest.mark.slow
def test_true_gpt2_continues_the_sentence() -> None:
    cached = try_to_load_from_cache("openai-community/gpt2", FILE, revision=HUB_REVISIONS["gpt2"])
    if not isinstance(cached, str):
        pytest.skip("the true GPT-2 weights are not in the hub's cache")
    from spam_classifier.data.tokenizer import gpt2_tokenizer

    fetch_weights("gpt2")
    backbone = loaded("gpt2", resolve_shape("gpt2"))
    texts = "Every effort moves you", " forward.\n\nThe first step is to understand the importance of your work"
    prompt, expected = map(gpt2_tokenizer().encode_ordinary, texts)
    tokens = list(prompt)
    with torch.no_grad():
        for _ in expected:
            hidden = backbone(torch.tensor([tokens]))[0, -1]
            tokens.append(int(nn.functional.linear(hidden, backbone.wte.weight).argmax()))
    assert tokens == prompt + expected
