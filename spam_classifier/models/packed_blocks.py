"""Blocks on a CPU, with packed weights and without padding: faster than the plain ones, and exact in any company.

oneDNN multiplies faster by weights in its own blocked layout, and applies bias, GELU and the residual addition while
the product is still in the cache. The operators are those that PyTorch's compiler emits (``torch.ops.mkldnn``). In
float32, results differ from those of the plain block only in the rounding of additions.

In float32, a message's states have the same bits whichever messages are computed with it: its tokens stand end to end
with theirs, attention has the message's own length, and a product with packed weights treats each row alike. What may
be computed another way is avoided: a product of a single row and the attention of a single head are computed twice
over, and the attention of few queries for more of them.
"""

import itertools
import platform
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  # PyTorch's own abbreviation
from torch import Tensor, nn

from spam_classifier.batch import Batch
from spam_classifier.models.gpt2 import Block, GPT2Backbone
from spam_classifier.models.gpt2_classifier import GPT2Classifier

PACKED_ROWS = 1024  # the layout is chosen for products of this many rows; others work, too
GROUP_TOKENS = 32768  # most tokens whose hidden states are in memory at once
FEWEST_QUERIES = 4  # with fewer, the bits of attention on AMD CPUs depend on where its buffers are


@dataclass(frozen=True)
class EndToEnd:
    """The tokens of a batch's messages, end to end."""

    input_ids: Tensor  # int64 [tokens]
    positions: Tensor  # of each token in its message, int64 [tokens]
    starts: Tensor  # where each message begins, int64 [B]
    runs: list[tuple[int, int]]  # of messages of equal length: how many, and how many tokens each of them has

    @classmethod
    def of(cls, batch: Batch, *, whole_rows: bool) -> "EndToEnd":
        """The real tokens of a batch, or with ``whole_rows`` all of them, padding included."""
        rows, width = batch.input_ids.shape
        counts = torch.full((rows,), width) if whole_rows else batch.lengths
        taken = torch.arange(width) < counts[:, None]  # (B, T)
        runs = [(len(list(equal)), length) for length, equal in itertools.groupby(counts.tolist())]
        return cls(batch.input_ids[taken], taken.nonzero()[:, 1], counts.cumsum(0) - counts, runs)


class PackedLinear:
    """A linear map with packed copies of a map's weights, of type float32 or bfloat16."""

    def __init__(self, linear: nn.Linear, dtype: torch.dtype = torch.float32) -> None:
        self.dtype = dtype
        self.weight = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach().to(dtype), PACKED_ROWS)
        self.bias = linear.bias.detach().to(dtype)

    def __call__(self, x: Tensor, *, gelu: bool = False) -> Tensor:
        """The map, and GELU if asked: float [N, in] to the type of the weights, [N, out]."""
        attribute, algorithm = ("gelu", "tanh") if gelu else ("none", "")
        product = torch.ops.mkldnn._linear_pointwise
        return product(_twice(x.to(self.dtype)), self.weight, self.bias, attribute, [], algorithm)[: len(x)]

    def added_to(self, residual: Tensor, x: Tensor) -> Tensor:
        """The map of x, added to float32 [N, out]: the same, float32."""
        if self.dtype != torch.float32:
            return residual + self(x)
        product = torch.ops.mkldnn._linear_pointwise.binary
        return product(_twice(x), _twice(residual), self.weight, self.bias, "add")[: len(x)]


class PackedBlock:
    """A block with packed copies of its projections.

    The layer norms, and what is added to the states, are float32 for either type of the packed weights.
    """

    def __init__(self, block: Block, dtype: torch.dtype = torch.float32) -> None:
        self.ln_1, self.ln_2 = block.ln_1, block.ln_2
        self.heads, self.causal = block.attn.heads, block.attn.causal
        self.attention_in = PackedLinear(block.attn.c_attn, dtype)
        self.attention_out = PackedLinear(block.attn.c_proj, dtype)
        self.mlp_in = PackedLinear(block.mlp.c_fc, dtype)
        self.mlp_out = PackedLinear(block.mlp.c_proj, dtype)

    def __call__(self, x: Tensor, messages: EndToEnd) -> Tensor:
        """What ``Block.forward`` gives for each message: float32 [tokens, width] to the same."""
        heads = self._heads(x, messages)
        return self._after(x, [_attend(query, key, value, self.causal) for query, key, value in heads])

    def at(self, x: Tensor, messages: EndToEnd, position: Tensor) -> Tensor:
        """What ``Block.at`` gives for one token of each message, float32 [tokens, width] to [B, width].

        ``position`` is the index of each message's token, int64 [B]; where attention is causal, the first of each
        message or the last of each.
        """
        mixed = []
        places = position.split([count for count, _ in messages.runs])
        for (query, key, value), place in zip(self._heads(x, messages), places, strict=True):
            one = query[torch.arange(len(place)), :, place][:, :, None]  # (count, heads, 1, width/heads)
            mixed.append(_attend(one, key, value, self.causal and not bool(place.any())))
        return self._after(x[messages.starts + position], mixed)

    def _heads(self, x: Tensor, messages: EndToEnd) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Query, key and value of each run, float [count, heads, T, width/heads]."""
        projected = self.attention_in(self.ln_1(x)).split([count * length for count, length in messages.runs])
        for (count, length), of_run in zip(messages.runs, projected, strict=True):
            query, key, value = of_run.view(count, length, 3, self.heads, -1).transpose(1, 3).unbind(2)
            yield query, key, value

    def _after(self, x: Tensor, mixed: list[Tensor]) -> Tensor:
        """The rest of the block for some tokens, float32 [N, width], from what their attention gave."""
        x = self.attention_out.added_to(x, torch.cat(mixed) if len(mixed) > 1 else mixed[0])
        return self.mlp_out.added_to(x, self.mlp_in(self.ln_2(x), gelu=True))


def _attend(query: Tensor, key: Tensor, value: Tensor, causal: bool) -> Tensor:
    """Attention: float [count, heads, queries, size] and so on to float [count * queries, heads * size]."""
    count, heads, queries, size = query.shape
    if count * heads == 1:
        query, key, value = _twice(query), _twice(key), _twice(value)
    if queries < FEWEST_QUERIES:
        query = query[:, :, torch.arange(FEWEST_QUERIES).clamp(max=queries - 1)]
    mixed = F.scaled_dot_product_attention(query, key, value, is_causal=causal)[:count, :, :queries]
    return mixed.transpose(1, 2).reshape(count * queries, heads * size)


def _twice(x: Tensor) -> Tensor:
    """A tensor of a single row with that row twice; others as they are."""
    return torch.cat([x, x]) if len(x) == 1 else x


class PackedClassifier:
    """A network's logits without gradients: those of its ``forward``, faster.

    Each block is removed from the network when it is packed, so that memory holds its weights once.
    """

    def __init__(self, net: GPT2Classifier, dtype: torch.dtype) -> None:
        self.net, self.dtype = net, dtype
        self.head = PackedLinear(net.head)
        self.blocks: list[PackedBlock] = []
        for block in list(net.backbone.h):
            self.blocks.append(PackedBlock(block, dtype))  # type: ignore[arg-type]
            del net.backbone.h[0]

    @torch.no_grad()
    def logits_of(self, batches: Iterable[Batch]) -> Iterator[Tensor]:
        """Logits of one batch after the other, float32 [B, classes]."""
        for batch, messages, states in through_blocks(self.net, batches, self.blocks[:-1], self.dtype):
            yield self.head(read_out(self.net, states, messages, batch, self.blocks[-1]))


def through_blocks(
    net: GPT2Classifier,
    batches: Iterable[Batch],
    blocks: Sequence[Block | PackedBlock],
    dtype: torch.dtype,
    on_block: Callable[[int], object] = lambda messages: None,
) -> Iterator[tuple[Batch, EndToEnd, Tensor]]:
    """Each batch, its messages, and their states after some first blocks, float32 [tokens, width], without gradients.

    Batches on the CPU are read in groups of up to GROUP_TOKENS tokens. Blocks that are not packed are packed for each
    group anew, one at a time. ``on_block`` is called with the number of messages whenever a block is done with a batch.
    """
    for group in _groups(batches):
        all_messages = [EndToEnd.of(batch, whole_rows=net.padding_matters) for batch in group]
        with torch.no_grad():
            wte, wpe = net.backbone.wte, net.backbone.wpe
            states = [wte(messages.input_ids) + wpe(messages.positions) for messages in all_messages]
            for block in blocks:
                packed = block if isinstance(block, PackedBlock) else PackedBlock(block, dtype)
                for number, messages in enumerate(all_messages):
                    states[number] = packed(states[number], messages)
                    on_block(len(messages.starts))
        yield from zip(group, all_messages, states, strict=True)


def _groups(batches: Iterable[Batch]) -> Iterator[list[Batch]]:
    group: list[Batch] = []
    for batch in batches:
        if group and sum(other.input_ids.numel() for other in [*group, batch]) > GROUP_TOKENS:
            yield group
            group = []
        group.append(batch)
    if group:
        yield group


def read_out(net: GPT2Classifier, states: Tensor, messages: EndToEnd, batch: Batch, last: PackedBlock) -> Tensor:
    """What ``GPT2Classifier.read_out`` gives by the last block, float32 [B, width], of float32 [tokens, width]."""
    if net.token_position == "mean":
        after = net.backbone.ln_f(last(states, messages)).split([count * length for count, length in messages.runs])
        runs = zip(messages.runs, after, strict=True)
        return torch.cat([of_run.unflatten(0, run).mean(dim=1) for run, of_run in runs])
    return net.backbone.ln_f(last.at(states, messages, net.position_read(batch.lengths, batch.input_ids.shape[1])))


def packed_type(backbone: GPT2Backbone) -> torch.dtype | None:
    """The type of weights that gives the plain blocks' results here; None where packing can't.

    It can on an x86 CPU, from float32 weights, without active dropout; under autocast to bfloat16 only if the CPU
    multiplies that. The operators are private to PyTorch; tried with 2.13.
    """
    weight = backbone.wte.weight
    packable = (
        weight.device.type == "cpu"
        and weight.dtype == torch.float32
        and not (backbone.training and backbone.drop.p)
        and platform.machine().lower() in ("x86_64", "amd64")
        and torch.backends.mkldnn.is_available()
        and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    )
    if not packable:
        return None
    if not torch.is_autocast_enabled("cpu"):
        return torch.float32
    wanted = torch.get_autocast_dtype("cpu")
    return wanted if wanted == torch.bfloat16 and multiplies_bfloat16() else None


def multiplies_bfloat16() -> bool:
    """Whether this CPU has instructions for products of bfloat16: AMX or AVX-512 BF16."""
    return bool(torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported())


def slow_precision(precision: str, device: torch.device) -> str | None:
    """A note where products of bfloat16 are asked for from a CPU without instructions for them."""
    if not precision.startswith("bf16") or device.type != "cpu" or multiplies_bfloat16():
        return None
    return f"precision {precision} is slower than 32-true here: this CPU has neither AMX nor AVX-512 BF16"


def float32_products() -> dict[str, str]:
    """How each backend multiplies float32: ``ieee`` for float32 throughout, ``tf32`` or ``bf16`` for fewer digits.

    ``torch.set_float32_matmul_precision`` sets both. Its getter raises an error if they were set one by one.
    """
    backends: Any = torch.backends
    settings = {"CPU": backends.mkldnn.matmul, "CUDA": backends.cuda.matmul}
    return {name: str(matmul.fp32_precision).replace("none", "ieee") for name, matmul in settings.items()}
