"""GPT-2 checkpoints: find, download, verify and load them.

``weights`` is the value of ``--model.weights``: the hub name of a published checkpoint (``gpt2``, ``gpt2-medium``,
``gpt2-large``, ``gpt2-xl``), ORGANISATION/NAME[@REVISION] of another GPT-2 on the hub, the path of a directory written
by ``save_pretrained`` or of a safetensors file in it, or ``random`` for no checkpoint.
"""

import json
import re
import reprlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import huggingface_hub as hub
import torch
from huggingface_hub import constants
from safetensors import SafetensorError, safe_open
from torch import Tensor

from spam_classifier.errors import UserError
from spam_classifier.files import file_sha256
from spam_classifier.models.gpt2 import PUBLISHED_SHAPES, GPT2Backbone, GPT2Shape
from spam_classifier.network import obstacle

RANDOM = "random"
HUB_REVISIONS = {
    "gpt2": "607a30d783dfa663caf39e06633721c8d4cfcd7e",
    "gpt2-medium": "6dcaa7a952f72f9298047fd5137cd6e4f05f41da",
    "gpt2-large": "32b71b12589c2f8d625668d2335a01cac3249519",
    "gpt2-xl": "15ea56dee5df4983c59b2538573817e1667135e2",
}
GPT2_SHA256 = "248dfc3911869ec493c76e65bf2fcf7f615828b0254c12b473182f0f81d3a707"
ALIASES = {"distilgpt2": "distilbert/distilgpt2"}
HUB_NAME = re.compile(r"(?P<repository>[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(@(?P<revision>[\w.-]+))?")
COMMIT = re.compile(r"[0-9a-f]{40}")
WEIGHTS_FILE = "model.safetensors"
SHARD = re.compile(r"model-\d+-of-\d+\.safetensors")
TOKENIZER_FILES = {"tokenizer.json", "tokenizer_config.json", "vocab.json", "merges.txt", "added_tokens.json"}

# Settings of a GPT2Config with the only value that the backbone implements.
FIXED_SETTINGS: dict[str, Any] = {
    "model_type": "gpt2",
    "activation_function": "gelu_new",
    "layer_norm_epsilon": 1e-5,
    "scale_attn_weights": True,
    "scale_attn_by_inverse_layer_idx": False,
    "reorder_and_upcast_attn": False,
    "add_cross_attention": False,
}
ORIGINAL = "give --model.weights a checkpoint of the original GPT-2 architecture"
# Tensors of a checkpoint that are ignored: the causal mask, and the heads of a language model or classifier.
NOT_BACKBONE = re.compile(r"h\.\d+\.attn\.(bias|masked_bias)|score\.weight|lm_head\.weight")
# Layers the checkpoints store as [in, out], the transpose of nn.Linear.
TRANSPOSED = re.compile(r".*\.(c_attn|c_proj|c_fc)\.weight")
FLOATS = {"F64", "F32", "F16", "BF16"}
ONLY_SAFETENSORS = (
    "only safetensors is read: a pickle checkpoint is converted by transformers: "
    "GPT2LMHeadModel.from_pretrained(DIRECTORY).save_pretrained(NEW_DIRECTORY)"
)


def fetch_weights(weights: str) -> None:
    """Download the checkpoint of a published name unless it is in the hub's cache; do nothing for others.

    The hash of ``gpt2`` is known here and always checked. Those of the larger ones only the hub knows: they are checked
    right after the download. Revisions are pinned, so a cached file needs no network. Raises a UserError if the file
    can't be downloaded, or its SHA-256 is wrong.
    """
    if weights in HUB_REVISIONS:
        known = GPT2_SHA256 if weights == "gpt2" else None
        _download(f"openai-community/{weights}", HUB_REVISIONS[weights], WEIGHTS_FILE, known)


def resolve_weights(weights: str) -> str:
    """ORGANISATION/NAME@COMMIT for a name on the hub, whose files are downloaded if missing; others unchanged.

    Raises a UserError if there is no such repository or revision, it has no safetensors, or can't be downloaded.
    """
    if Path(weights).exists():
        return weights
    weights = ALIASES.get(weights, weights)
    named = HUB_NAME.fullmatch(weights)
    if named is None or (not named["revision"] and Path(weights).parent.is_dir()):  # the latter is a misspelt path
        return weights
    repository, revision = named["repository"], named["revision"] or "main"
    kept = _snapshot(repository, revision)
    if COMMIT.fullmatch(revision) and (kept / "config.json").exists() and any(kept.glob("model*.safetensors")):
        return weights
    api = hub.HfApi()
    url = f"{api.endpoint}/api/models/{repository}/revision/{revision}"
    with _reaching(f"--model.weights {weights}: no such file or directory, and cannot find it on the hub at", url):
        info = api.model_info(repository, revision=revision)
    names = {file.rfilename for file in info.siblings or []}
    tensors = names & {WEIGHTS_FILE} or {name for name in names if SHARD.fullmatch(name)}
    if not tensors or "config.json" not in names:
        raise UserError(
            f"{repository} at revision {info.sha} lacks {WEIGHTS_FILE} or config.json, and {ONLY_SAFETENSORS}"
        )
    for file in [*sorted(tensors | names & TOKENIZER_FILES), "config.json"]:  # where it is kept, so are the others
        _download(repository, str(info.sha), file)
    return f"{repository}@{info.sha}"


def resolve_shape(
    weights: str,
    layers: int | None = None,
    width: int | None = None,
    heads: int | None = None,
    context: int | None = None,
) -> GPT2Shape:
    """The shape of the backbone that ``weights`` fits into, found without reading a tensor.

    It has the sizes that the user gave if all four are given (no file is touched), else the checkpoint's. For
    ``random``, missing sizes are those of GPT-2 124M, with heads of width 64.

    Raises:
        UserError: ``weights`` names nothing, is not a GPT-2 checkpoint, or disagrees with a given size.
    """
    sizes = {"layers": layers, "width": width, "heads": heads, "context": context}
    given = {option: size for option, size in sizes.items() if size is not None}
    if len(given) == len(sizes):
        return GPT2Shape(**given)
    if weights == RANDOM:
        if width is not None:
            given.setdefault("heads", max(1, width // 64))
        return replace(PUBLISHED_SHAPES["gpt2"], **given)

    stored = PUBLISHED_SHAPES[weights] if weights in PUBLISHED_SHAPES else _stored_shape(_local(weights))
    for option, size in given.items():
        if size != getattr(stored, option):
            raise UserError(
                f"--model.{option} {size} disagrees with {weights}, which has {getattr(stored, option)}: "
                f"leave --model.{option} out, or train from --model.weights {RANDOM}"
            )
    return stored


def load_weights(backbone: GPT2Backbone, weights: str) -> None:
    """Load a checkpoint into the backbone, in place and in its dtype: all of it or, on error, nothing.

    A backbone on the ``meta`` device gets its memory on the CPU, once the checkpoint is known to fit. ``random`` leaves
    the backbone as it is. Reads what ``transformers`` writes for ``GPT2Model``, ``GPT2LMHeadModel`` and
    ``GPT2ForSequenceClassification``, in one file or in shards. Tensors are mapped and copied one by one.

    Raises:
        UserError: ``weights`` names nothing, cannot be downloaded or read, does not fit the backbone tensor for tensor,
            or holds NaN or infinite numbers.
    """
    if weights == RANDOM:
        return
    read = checked_reader(weights, backbone.state_dict(), heads=backbone.shape.heads)
    if backbone.wte.weight.is_meta:
        backbone.to_empty(device="cpu")
    for name, parameter in backbone.state_dict().items():
        parameter.copy_(read(name))


def checked_reader(weights: str, parameters: Mapping[str, Tensor], heads: int) -> Callable[[str], Tensor]:
    """Check a whole checkpoint against a backbone's parameters (shapes and dtypes); returns what reads one by name."""
    # the number of heads and the variant of the architecture are in config.json, not in the tensors
    resolve_shape(weights, heads=heads)
    path = _local(weights)
    stored = _open_tensors(path)
    _check_fit(path, parameters, stored)

    def as_stored(name: str) -> Tensor:
        return stored[name][...].to(parameters[name].dtype)

    def read(name: str) -> Tensor:
        return as_stored(name).t() if TRANSPOSED.fullmatch(name) else as_stored(name)

    # every tensor is read twice: a bad number in the last one must leave the backbone unchanged
    for name in parameters:
        if not torch.stack(as_stored(name).aminmax()).isfinite().all():  # slower if transposed
            raise UserError(f"{path}: {name} holds NaN or infinite numbers: the checkpoint is damaged, get another")
    return read


def weights_sha256(weights: str) -> dict[str, str]:
    """SHA-256 of each file of tensors, by its name; empty for ``random``."""
    return {} if weights == RANDOM else {file.name: file_sha256(file) for file in _tensor_files(_local(weights))}


def tokenizer_directory(weights: str) -> Path | None:
    """Where the tokenizer of weights is; None where it is GPT-2's."""
    if weights == RANDOM or weights in HUB_REVISIONS:
        return None
    path = _local(weights)
    return path if path.is_dir() else path.parent


def _local(weights: str) -> Path:
    """The directory or file of weights; those on the hub are downloaded if missing."""
    if weights in HUB_REVISIONS:
        directory = _snapshot(f"openai-community/{weights}", HUB_REVISIONS[weights])
        if not (directory / WEIGHTS_FILE).exists():
            fetch_weights(weights)
        return directory
    path = Path(weights).expanduser()
    if not path.exists():
        repository, _, commit = resolve_weights(weights).partition("@")
        if commit:
            return _snapshot(repository, commit)
        raise UserError(
            f"--model.weights {weights}: no such file or directory; give one of "
            f"{', '.join([*HUB_REVISIONS, *ALIASES])}, ORGANISATION/NAME on the hub, "
            f"the path of a checkpoint or run, or {RANDOM}"
        )
    return path


def _snapshot(repository: str, revision: str) -> Path:
    """Where the hub's cache has the files of a repository at a commit."""
    return Path(constants.HF_HUB_CACHE, f"models--{repository.replace('/', '--')}", "snapshots", revision)


def _download(repository: str, revision: str, file: str, known: str | None = None) -> None:
    """Download a file into the hub's cache, and verify its SHA-256: ``known``, or the hub's ETag of a large file.

    A cached file is only verified if its SHA-256 is ``known``, and then downloaded again if it is damaged.
    """
    path = _snapshot(repository, revision) / file
    if path.exists() and known in (None, file_sha256(path)):
        return
    url = hub.hf_hub_url(repository, file, revision=revision)
    with _reaching(f"cannot download {repository} at revision {revision} from", url):
        for again in (path.exists(), True):
            etag = _announced(url)
            path = Path(hub.hf_hub_download(repository, file, revision=revision, force_download=again))
            expected, actual = known or etag, file_sha256(path)
            if expected == actual or not re.fullmatch("[0-9a-f]{64}", expected or ""):
                return
    path.unlink()  # else the next run would find it in the cache and not check it
    raise UserError(
        f"{path} had SHA-256 {actual}, not {expected}, after a second download, too, and was removed: run again later, "
        "or give --model.weights the DIRECTORY of another copy"
    )


@contextmanager
def _reaching(what: str, url: str) -> Iterator[None]:
    """Turn any error into a UserError: the hub client, its HTTP library and hf_xet share no base class for errors."""
    try:
        yield
    except Exception as error:
        cause, remedy = obstacle(error, url) or (
            _first_line(error.__cause__ or error),
            "check the name and the network",
        )
        raise UserError(
            f"{what} {url} ({cause}): {remedy}, or give --model.weights the DIRECTORY of a downloaded copy, "
            f"or use --model.weights {RANDOM}"
        ) from error


def _announced(url: str) -> str | None:
    """The hub's ETag of a file, which is the SHA-256 of a large one.

    Asks each server of the download once. Without a network, or behind a proxy that refuses, this fails at once; the
    download itself would first try again for up to minutes.
    """
    metadata = hub.get_hf_file_metadata(url)
    if metadata.location != url:
        hub.get_session().head(metadata.location, timeout=constants.HF_HUB_ETAG_TIMEOUT)
    return metadata.etag


def _stored_shape(path: Path) -> GPT2Shape:
    """The shape in the ``config.json`` of a local checkpoint."""
    file = (path if path.is_dir() else path.parent) / "config.json"
    if not file.exists():
        _open_tensors(path)  # what is no checkpoint is refused as such
        raise UserError(f"{file} is missing, which belongs to {path}: place it there")
    try:
        config = dict(json.loads(file.read_bytes()))
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise UserError(f"{file} cannot be read as a JSON object ({_first_line(error)}): get it again") from error
    for setting, value in FIXED_SETTINGS.items():
        if config.get(setting, value) != value:
            found = reprlib.repr(config[setting])
            raise UserError(f"{file}: {setting} is {found}, and only {value!r} is supported: {ORIGINAL}")
    context = "n_positions" if "n_positions" in config else "n_ctx"
    sizes: list[Any] = [config.get(key) for key in ("n_layer", "n_embd", "n_head", context, "vocab_size")]
    try:
        shape = GPT2Shape(*sizes)
    except UserError as error:
        raise UserError(f"{file}: {error}") from error
    if config.get("n_inner") not in (None, 4 * shape.width):
        found = reprlib.repr(config["n_inner"])
        raise UserError(f"{file}: n_inner is {found}, and only 4 * n_embd is supported: {ORIGINAL}")
    return shape


def _open_tensors(path: Path) -> dict[str, Any]:
    """The tensors of a checkpoint as lazy safetensors slices, by name without the ``transformer.`` prefix."""
    tensors: dict[str, Any] = {}
    for file in _tensor_files(path):
        try:
            opened = safe_open(file, framework="pt")
        except (SafetensorError, OSError) as error:
            raise UserError(
                f"{file} cannot be read as safetensors ({_first_line(error)}): get it again if it is damaged; "
                f"{ONLY_SAFETENSORS}"
            ) from error
        for key in opened.keys():  # noqa: SIM118  # a safe_open is not a mapping
            name = key.removeprefix("transformer.")
            if name in tensors:
                raise UserError(f"{path}: {name} is stored twice: the checkpoint is damaged, get another")
            tensors[name] = opened.get_slice(key)
    return tensors


def _tensor_files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    if (path / WEIGHTS_FILE).exists():
        return [path / WEIGHTS_FILE]
    shards = sorted(file for file in path.iterdir() if SHARD.fullmatch(file.name))
    if not shards:
        raise UserError(f"{path} holds no {WEIGHTS_FILE}, in one file or in shards, and {ONLY_SAFETENSORS}")
    return shards


def _check_fit(path: Path, parameters: Mapping[str, Tensor], stored: dict[str, Any]) -> None:
    """Raise a UserError that names missing, unexpected and misshapen tensors."""
    faults = [f"missing {name}" for name in parameters if name not in stored]
    faults += [f"unexpected {name}" for name in stored if name not in parameters and not NOT_BACKBONE.fullmatch(name)]
    for name in (name for name in parameters if name in stored):
        shape, dtype = stored[name].get_shape(), stored[name].get_dtype()
        expected = list(parameters[name].shape)[:: -1 if TRANSPOSED.fullmatch(name) else 1]
        if shape != expected or dtype not in FLOATS:
            faults.append(f"misshapen {name} ({dtype} {shape}, not a float {expected})")
    if faults:
        shown = ", ".join(faults[:3]) + (f" and {len(faults) - 3} more" if len(faults) > 3 else "")
        raise UserError(
            f"{path} does not fit the backbone: {shown}: give --model.weights a GPT-2 checkpoint, and leave "
            "--model.layers, --model.width, --model.heads and --model.context to it"
        )


def _first_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".strip().splitlines()[0]
