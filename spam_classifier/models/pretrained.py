"""GPT-2 checkpoints: find, download, verify and load them.

``weights`` is the value of ``--model.weights``: the hub name of a published checkpoint (``gpt2``, ``gpt2-medium``,
``gpt2-large``, ``gpt2-xl``), ORGANISATION/NAME[@REVISION] of another GPT-2 on the hub, the path of a safetensors file
or of a directory written by ``save_pretrained``, or ``random`` for no checkpoint.
"""

import hashlib
import json
import re
import reprlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import huggingface_hub as hub
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from spam_classifier.errors import DISK_ERRORS, UserError
from spam_classifier.files import file_sha256
from spam_classifier.models.gpt2 import PUBLISHED_SHAPES, GPT2Backbone, GPT2Shape, without_weights
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
INDEX_FILE = "model.safetensors.index.json"
SHARD = re.compile(r"model-\d+-of-\d+\.safetensors")
OTHER_FILES = {
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.json",
    "merges.txt",
    "added_tokens.json",
}

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
# Tensors of a checkpoint that are ignored: the causal mask, and the head of a sequence classifier.
NOT_BACKBONE = re.compile(r"h\.\d+\.attn\.(bias|masked_bias)|score\.weight")
# Layers the checkpoints store as [in, out], the transpose of nn.Linear.
TRANSPOSED = re.compile(r".*\.(c_attn|c_proj|c_fc)\.weight")
MOST_JSON = 2**24  # bytes of a config.json or an index
FLOATS = {"F64", "F32", "F16", "BF16"}
CONVERSION = "transformers: GPT2LMHeadModel.from_pretrained(DIRECTORY).save_pretrained(NEW_DIRECTORY)"


def fetch_weights(weights: str) -> None:
    """Download the checkpoint of a hub name unless it is in the hub's cache; do nothing for a path or ``random``.

    Revisions are pinned, so a cached file needs no network.

    Raises:
        UserError: The file cannot be downloaded, or its SHA-256 is wrong.
    """
    if weights in HUB_REVISIONS:
        _fetch(weights)


def resolve_shape(
    weights: str,
    layers: int | None = None,
    width: int | None = None,
    heads: int | None = None,
    context: int | None = None,
) -> GPT2Shape:
    """The shape of the backbone that ``weights`` fits into, found without reading a tensor.

    Args:
        weights: Hub name, path, or ``random``.
        layers: Number of blocks, if the user gave one; the same goes for the next three.
        width: Size of a hidden state.
        heads: Attention heads per block; a checkpoint without ``config.json`` leaves them open, and the default is
            heads of width 64, as in every published GPT-2.
        context: Most tokens in a sequence.

    Returns:
        The given sizes if all four are given (no file is touched), else the checkpoint's. For ``random``, missing sizes
        are those of GPT-2 124M, with heads of width 64.

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

    stored = PUBLISHED_SHAPES[weights] if weights in PUBLISHED_SHAPES else _stored_shape(_local(weights), heads)
    for option, size in given.items():
        if size != getattr(stored, option):
            raise UserError(
                f"--model.{option} {size} disagrees with {weights}, which has {getattr(stored, option)}: "
                f"leave --model.{option} out, or train from --model.weights {RANDOM}"
            )
    return stored


def load_weights(backbone: GPT2Backbone, weights: str) -> None:
    """Load a checkpoint into the backbone, in place and in its dtype: all of it or, on error, nothing.

    A backbone on the ``meta`` device gets its memory on the CPU, once the checkpoint is known to fit.

    Reads what ``transformers`` writes for ``GPT2Model``, ``GPT2LMHeadModel`` and
    ``GPT2ForSequenceClassification``, in one file or in shards. Tensors are mapped and copied one by one.

    Args:
        backbone: Receives the weights.
        weights: Hub name (downloaded if missing), path, or ``random``, which leaves the backbone as it is.

    Raises:
        UserError: ``weights`` names nothing, cannot be downloaded or read, does not fit the backbone tensor for tensor,
            or holds NaN or infinite numbers.
    """
    if weights == RANDOM:
        return
    read = _checked_reader(weights, backbone.state_dict(), heads=backbone.shape.heads)
    if backbone.wte.weight.is_meta:
        backbone.to_empty(device="cpu")
    for name, parameter in backbone.state_dict().items():
        parameter.copy_(read(name))


def published_parameters(weights: str, shape: GPT2Shape, names: Collection[str]) -> dict[str, Tensor]:
    """Some parameters of a published checkpoint by name: float32, in the layout of the backbone.

    Args:
        weights: Hub name; downloaded if missing.
        shape: The backbone's sizes.
        names: Names of the backbone's parameters.

    Raises:
        UserError: As for ``load_weights``.
    """
    with without_weights():
        expected = GPT2Backbone(shape).state_dict()
    read = _checked_reader(weights, expected, heads=shape.heads)
    return {name: read(name).contiguous() for name in names}


def published_sha256(weights: str) -> str:
    """SHA-256 of the file of a hub name; it is downloaded if missing."""
    return file_sha256(_weights_path(weights))


def weights_sha256(weights: str) -> dict[str, str]:
    """SHA-256 of each file of tensors, by its name; empty for ``random``.

    Raises:
        UserError: A file is missing, or cannot be downloaded.
    """
    if weights == RANDOM:
        return {}
    return {file.name: file_sha256(file) for file in _tensor_files(_weights_path(weights))}


def _checked_reader(weights: str, parameters: Mapping[str, Tensor], heads: int) -> Callable[[str], Tensor]:
    """Check a whole checkpoint against a backbone's parameters (shapes and dtypes); returns what reads one by name."""
    # the number of heads and the variant of the architecture are in config.json, not in the tensors
    resolve_shape(weights, heads=heads)
    path = _weights_path(weights)
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
    if "lm_head.weight" in stored:
        embeddings = stored["wte.weight"][...]
        if not torch.equal(stored["lm_head.weight"][...].to(embeddings.dtype), embeddings):
            raise UserError(
                f"{path}: lm_head.weight differs from wte.weight, and GPT-2 ties the two: "
                "give --model.weights a GPT-2 checkpoint"
            )
    return read


def resolve_weights(weights: str) -> str:
    """ORGANISATION/NAME@COMMIT for a name on the hub, whose files are downloaded if missing; others unchanged.

    Raises:
        UserError: There is no such repository or revision, it has no safetensors, or can't be downloaded.
    """
    weights = ALIASES.get(weights, weights) if not Path(weights).exists() else weights
    named = HUB_NAME.fullmatch(weights)
    if named is None or Path(weights).exists():
        return weights
    repository, revision = named["repository"], named["revision"] or "main"
    if COMMIT.fullmatch(revision) and any(_cached(repository, revision, file) for file in (WEIGHTS_FILE, INDEX_FILE)):
        return weights
    api = hub.HfApi()
    url = f"{api.endpoint}/api/models/{repository}/revision/{revision}"
    try:
        info = api.model_info(repository, revision=revision)
    except Exception as error:
        cause, remedy = obstacle(error, url) or (_first_line(error), "check the name and the network")
        raise UserError(
            f"--model.weights {weights}: no such file or directory, and cannot find it on the hub at {url} ({cause}): "
            f"{remedy}, or give the DIRECTORY of a downloaded copy"
        ) from error
    names = {file.rfilename for file in info.siblings or []}
    if not names & {WEIGHTS_FILE, INDEX_FILE}:
        raise UserError(
            f"{repository} at revision {info.sha} holds neither {WEIGHTS_FILE} nor {INDEX_FILE}, and only safetensors "
            f"is read: a pickle checkpoint is converted by {CONVERSION}"
        )
    last = WEIGHTS_FILE if WEIGHTS_FILE in names else INDEX_FILE  # where it is in the cache, so are the others
    shards = {name for name in names if SHARD.fullmatch(name)} if last == INDEX_FILE else set()
    for file in [*sorted(names & OTHER_FILES | shards), last]:
        _download(repository, str(info.sha), file)
    return f"{repository}@{info.sha}"


def tokenizer_directory(weights: str) -> Path | None:
    """Where the tokenizer of weights is; None where it is GPT-2's."""
    if weights == RANDOM or weights in HUB_REVISIONS:
        return None
    path = _local(weights)
    return path if path.is_dir() else path.parent


def _fetch(name: str) -> Path:
    """Path in the hub's cache of the checkpoint of a hub name; it is downloaded if missing, and verified.

    The hash of ``gpt2`` is known here and always checked. Those of the larger ones only the hub knows: they are checked
    right after the download.
    """
    return _download(
        f"openai-community/{name}", HUB_REVISIONS[name], WEIGHTS_FILE, GPT2_SHA256 if name == "gpt2" else None
    )


def _download(repository: str, revision: str, file: str, known: str | None = None) -> Path:
    """Path in the hub's cache of a file; downloaded if missing, and verified against the hub's ETag or ``known``."""
    cached = _cached(repository, revision, file)
    if cached and not known:
        return cached
    url = hub.hf_hub_url(repository, file, revision=revision)
    try:
        for again in (False, True):
            etag = None if cached and not again else _announced(url)
            expected = known or etag
            path = Path(hub.hf_hub_download(repository, file, revision=revision, force_download=again))
            if (actual := _digest(path, expected)) == expected:
                return path
    except Exception as error:  # the hub client, its HTTP library and hf_xet share no base class for errors
        found = obstacle(error, url)
        if found is None and isinstance(error, OSError) and error.errno in DISK_ERRORS:
            raise UserError(
                f"cannot keep {repository} in the hub's cache {hub.constants.HF_HUB_CACHE} ({error.strerror}): make "
                "room there, or name another with the environment variable HF_HOME"
            ) from error
        folder = _snapshot(repository, revision)
        cause, remedy = found or (_first_line(error.__cause__ or error), "check the network and run again")
        raise UserError(
            f"cannot download {repository} at revision {revision} from {url} ({cause}): {remedy}, or place the file "
            f"by hand in {folder}, or give --model.weights the DIRECTORY of a downloaded copy, "
            f"or use --model.weights {RANDOM}"
        ) from error
    path.unlink()  # else the next run would find it in the cache and not check it
    raise UserError(
        f"{path} had SHA-256 {actual}, not {expected}, after a second download, too, and was removed: run again later, "
        "or give --model.weights the DIRECTORY of another copy"
    )


def _digest(path: Path, expected: str | None) -> str:
    """SHA-256, or git's SHA-1 of a small file, whose ETag that is."""
    if expected is None or not COMMIT.fullmatch(expected):
        return file_sha256(path)
    content = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def _snapshot(repository: str, revision: str) -> Path:
    return Path(hub.constants.HF_HUB_CACHE, f"models--{repository.replace('/', '--')}", "snapshots", revision)


def _announced(url: str) -> str | None:
    """The hub's ETag of a file, which is the SHA-256 of a large one.

    Asks each server of the download once. Without a network, or behind a proxy that refuses, this fails at once; the
    download itself would first try again for up to minutes.
    """
    metadata = hub.get_hf_file_metadata(url)
    if metadata.location != url:
        hub.get_session().head(metadata.location, timeout=hub.constants.HF_HUB_ETAG_TIMEOUT)
    return metadata.etag


def _cached(repository: str, revision: str, file: str = WEIGHTS_FILE) -> Path | None:
    cached = hub.try_to_load_from_cache(repository, file, revision=revision)
    return Path(cached) if isinstance(cached, str) else None


def _weights_path(weights: str) -> Path:
    if weights in HUB_REVISIONS:
        return _cached(f"openai-community/{weights}", HUB_REVISIONS[weights]) or _fetch(weights)
    return _local(weights)


def _local(weights: str) -> Path:
    path = Path(weights).expanduser()
    if not path.exists() and (HUB_NAME.fullmatch(weights) or weights in ALIASES):
        repository, _, revision = resolve_weights(weights).partition("@")
        return _snapshot(repository, revision)
    if not path.exists():
        raise UserError(
            f"--model.weights {weights}: no such file or directory; give one of "
            f"{', '.join([*HUB_REVISIONS, *ALIASES])}, ORGANISATION/NAME on the hub, "
            f"the path of a checkpoint or run, or {RANDOM}"
        )
    return path


def _stored_shape(path: Path, heads: int | None) -> GPT2Shape:
    """The shape of a local checkpoint: from the ``config.json`` in its directory, else from its tensors."""
    config = (path if path.is_dir() else path.parent) / "config.json"
    if config.exists():
        return _shape_in_config(config)

    tensors = _open_tensors(path)
    for name in ("wte.weight", "wpe.weight", "h.0.attn.c_attn.weight"):
        if name not in tensors or len(tensors[name].get_shape()) != 2:
            raise UserError(f"{path} has no matrix {name}: give --model.weights a GPT-2 checkpoint")
    vocabulary, width = tensors["wte.weight"].get_shape()
    context, _ = tensors["wpe.weight"].get_shape()
    layers = sum(name.endswith(".attn.c_attn.weight") for name in tensors)
    if heads is None and width % 64:
        raise UserError(f"{path} of width {width} does not tell its number of heads: give --model.heads")
    return GPT2Shape(layers, width, heads or width // 64, context, vocabulary)


def _shape_in_config(path: Path) -> GPT2Shape:
    config = _read_json(path)
    for setting, value in FIXED_SETTINGS.items():
        if config.get(setting, value) != value:
            raise UserError(
                f"{path}: {setting} is {reprlib.repr(config[setting])}, and only {value!r} is supported: "
                "give --model.weights a checkpoint of the original GPT-2 architecture"
            )
    context = "n_positions" if "n_positions" in config else "n_ctx"
    sizes: list[Any] = [config.get(key) for key in ("n_layer", "n_embd", "n_head", context, "vocab_size")]
    if not all(type(size) is int for size in sizes):
        raise UserError(
            f"{path}: n_layer, n_embd, n_head, {context}, vocab_size must be integers, not {reprlib.repr(sizes)}: "
            "give --model.weights a GPT-2 checkpoint"
        )
    try:
        shape = GPT2Shape(*sizes)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    if config.get("n_inner") not in (None, 4 * shape.width):
        raise UserError(
            f"{path}: n_inner is {reprlib.repr(config['n_inner'])}, and only 4 * n_embd is supported: "
            "give --model.weights a checkpoint of the original GPT-2 architecture"
        )
    return shape


def _open_tensors(path: Path) -> dict[str, Any]:
    """The tensors of a checkpoint as lazy safetensors slices, by name without the ``transformer.`` prefix."""
    tensors: dict[str, Any] = {}
    for file in _tensor_files(path):
        try:
            opened = safe_open(file, framework="pt")
        except (SafetensorError, OSError) as error:
            raise UserError(
                f"{file} cannot be read as safetensors ({_first_line(error)}), the only format read: get it "
                f"again if it is damaged; a pickle checkpoint is converted by {CONVERSION}"
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
    index = path / INDEX_FILE
    if not index.exists():
        raise UserError(
            f"{path} holds neither {WEIGHTS_FILE} nor {INDEX_FILE}, and only safetensors is read: "
            f"a pickle checkpoint is converted by {CONVERSION}"
        )
    places = _read_json(index).get("weight_map")
    if not isinstance(places, dict) or not all(isinstance(shard, str) for shard in places.values()):
        raise UserError(f"{index}: weight_map must map tensor names to file names: the index is damaged, get another")
    shards = sorted(set(places.values()))
    for shard in shards:
        if "/" in shard or "\\" in shard or ".." in shard:
            raise UserError(f"{index}: the shard {shard!r} must be a file beside the index: get another checkpoint")
        try:
            missing = not (path / shard).is_file()
        except OSError:  # such as a name that is too long
            missing = True
        if missing:
            raise UserError(f"{index}: the shard {shard} is missing: download it into {path}")
    return [path / shard for shard in shards]


def _read_json(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            raw = file.read(MOST_JSON + 1)
        if len(raw) > MOST_JSON:
            raise ValueError(f"more than {MOST_JSON:,} bytes")
        content = json.loads(raw.decode("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path} cannot be read as JSON ({_first_line(error)}): get it again") from error
    if not isinstance(content, dict):
        raise UserError(f"{path} must hold a JSON object: get it again")
    return content


def _check_fit(path: Path, parameters: Mapping[str, Tensor], stored: dict[str, Any]) -> None:
    """Raise a UserError that names missing, unexpected and misshapen tensors."""
    missing = [name for name in parameters if name not in stored]
    unexpected = [
        name
        for name in stored
        if name not in parameters and name != "lm_head.weight" and not NOT_BACKBONE.fullmatch(name)
    ]
    misshapen = []
    for name, parameter in parameters.items():
        if name in stored:
            shape, dtype = stored[name].get_shape(), stored[name].get_dtype()
            expected = list(parameter.shape)[:: -1 if TRANSPOSED.fullmatch(name) else 1]
            if shape != expected or dtype not in FLOATS:
                misshapen.append(f"{name} ({dtype} {shape}, not a float {expected})")
    faults = {"missing": missing, "unexpected": unexpected, "misshapen": misshapen}
    if any(faults.values()):
        found = "; ".join(f"{fault} {_some(names)}" for fault, names in faults.items() if names)
        raise UserError(
            f"{path} does not fit the backbone: {found}: give --model.weights a GPT-2 checkpoint, and leave "
            "--model.layers, --model.width, --model.heads and --model.context to it"
        )


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:3])
    return f"{shown} and {len(names) - 3} more" if len(names) > 3 else shown


def _first_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".strip().splitlines()[0]
