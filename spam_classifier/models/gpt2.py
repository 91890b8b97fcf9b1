"""GPT-2 without its language-model head, in plain PyTorch: token ids in, hidden states out.

The architecture is that of Radford et al., "Language Models are Unsupervised Multitask Learners" (2019).
Parameters carry the names of the published checkpoints. Projections are ``nn.Linear``, whose weights are
[out, in] where the checkpoint files hold [in, out].
"""

import math
import reprlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, cast

import torch
import torch.nn.functional as F  # noqa: N812  # PyTorch's own abbreviation
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.checkpoint import checkpoint
from typing_extensions import override

from spam_classifier.errors import UserError

LARGEST = {"layers": 1_000, "width": 100_000, "heads": 10_000, "context": 1_000_000, "vocabulary": 10_000_000}


@dataclass(frozen=True)
class GPT2Shape:
    """The sizes that tell one GPT-2 from another."""

    layers: int
    width: int  # of a hidden state, a multiple of ``heads``
    heads: int
    context: int = 1024  # most tokens in a sequence
    vocabulary: int = 50257

    def __post_init__(self) -> None:
        for name, size in asdict(self).items():
            if type(size) is not int or not 1 <= size <= LARGEST[name]:
                found = reprlib.repr(size)
                raise UserError(f"the backbone's {name} must be an integer from 1 to {LARGEST[name]:,}, not {found}")
        if self.width % self.heads:
            raise UserError(
                f"the backbone's width {self.width} cannot be split into {self.heads} heads: "
                "make --model.width a multiple of --model.heads"
            )


PUBLISHED_SHAPES = {
    "gpt2": GPT2Shape(layers=12, width=768, heads=12),
    "gpt2-medium": GPT2Shape(layers=24, width=1024, heads=16),
    "gpt2-large": GPT2Shape(layers=36, width=1280, heads=20),
    "gpt2-xl": GPT2Shape(layers=48, width=1600, heads=25),
}
"""The four published sizes (124M, 355M, 774M, 1558M parameters) by their names on the Hugging Face hub."""


class _DrawNothing(TorchFunctionMode):
    @override
    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(func, "__module__", None) == "torch.nn.init":
            return kwargs["tensor"]
        return func(*args, **(kwargs or {}))


@contextmanager
def without_weights() -> Iterator[None]:
    """Build modules on PyTorch's ``meta`` device: their parameters have shapes, but take no memory.

    Drawing random numbers there would import PyTorch's compiler, which takes longer than all else that predicting does.
    """
    with torch.device("meta"), _DrawNothing():
        yield


class SelfAttention(nn.Module):
    """Multi-head attention in which a token sees itself and the tokens before it, or all of its row."""

    def __init__(self, shape: GPT2Shape, dropout: float, causal: bool) -> None:
        super().__init__()
        self.heads = shape.heads
        self.dropout = dropout
        self.causal = causal
        self.c_attn = nn.Linear(shape.width, 3 * shape.width)  # query, key and value in one product
        self.c_proj = nn.Linear(shape.width, shape.width)

    def forward(self, x: Tensor) -> Tensor:
        """Mix the tokens of a sequence: float [B, T, width] -> float [B, T, width]."""
        batch, length, width = x.shape
        query, key, value = (
            part.view(batch, length, self.heads, width // self.heads).transpose(1, 2)
            for part in self.c_attn(x).split(width, dim=2)
        )  # each (B, heads, T, width/heads)
        mixed = F.scaled_dot_product_attention(
            query, key, value, is_causal=self.causal, dropout_p=self.dropout if self.training else 0.0
        )  # (B, heads, T, width/heads)
        return self.c_proj(mixed.transpose(1, 2).reshape(batch, length, width))

    def at(self, normed: Tensor, scale: Tensor, shift: Tensor, position: Tensor) -> Tensor:
        """The output for one token of each row, for which neither keys nor values need be formed.

        With tokens x_j = scale * n_j + shift, a score is q . (W_k x_j + b_k) = (scale * W_k'q) . n_j + a constant,
        which the softmax ignores; and since attention weights add up to one, the mixed value is
        W_v (scale * sum_j a_j n_j + shift) + b_v. Tokens are only ever multiplied by one vector per head.

        Args:
            normed: Normalised tokens before the layer norm's affine map, float [B, T, width].
            scale: The layer norm's weight, float [width].
            shift: The layer norm's bias, float [width].
            position: Index of each row's token, int64 [B].
        """
        batch, length, width = normed.shape
        size = width // self.heads
        query_weight, key_weight, value_weight = self.c_attn.weight.view(3, width, width)
        query_bias, _, value_bias = self.c_attn.bias.view(3, width)
        token = normed[torch.arange(batch, device=normed.device), position] * scale + shift  # (B, width)
        query = F.linear(token, query_weight, query_bias).view(batch, self.heads, size)
        probe = torch.einsum("bhs,hsw->bhw", query, key_weight.view(self.heads, size, width)) * scale
        scores = probe @ normed.transpose(1, 2) / math.sqrt(size)  # (B, heads, T)
        if self.causal:
            later = torch.arange(length, device=normed.device) > position[:, None]  # (B, T)
            scores = scores.masked_fill(later[:, None], -torch.inf)
        mixed = scores.softmax(dim=-1) @ normed * scale + shift  # (B, heads, width)
        value = torch.einsum("bhw,hsw->bhs", mixed, value_weight.view(self.heads, size, width))
        return self.c_proj(value.reshape(batch, width) + value_bias)


class MLP(nn.Module):
    """Two projections around a GELU, applied to each token alone."""

    def __init__(self, shape: GPT2Shape) -> None:
        super().__init__()
        self.c_fc = nn.Linear(shape.width, 4 * shape.width)
        self.c_proj = nn.Linear(4 * shape.width, shape.width)

    def forward(self, x: Tensor) -> Tensor:
        """Transform every token: float [B, T, width] -> float [B, T, width]."""
        return self.c_proj(F.gelu(self.c_fc(x), approximate="tanh"))  # inside: (B, T, 4 * width)


class Block(nn.Module):
    """One transformer block: attention, then the MLP, each normalised first and added to its input."""

    def __init__(self, shape: GPT2Shape, dropout: float, causal: bool) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(shape.width, eps=1e-5)
        self.attn = SelfAttention(shape, dropout, causal)
        self.ln_2 = nn.LayerNorm(shape.width, eps=1e-5)
        self.mlp = MLP(shape)
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Refine the hidden states: float [B, T, width] -> float [B, T, width]."""
        x = x + self.drop(self.attn(self.ln_1(x)))
        return x + self.drop(self.mlp(self.ln_2(x)))

    def at(self, x: Tensor, position: Tensor) -> Tensor:
        """What ``forward`` gives for one token of each row: float [B, T, width] at int64 [B] -> float [B, width].

        With active dropout it calls ``forward``, as every token draws its own mask.
        """
        rows = torch.arange(len(x), device=x.device)
        if self.training and any(isinstance(module, nn.Dropout) and module.p for module in self.modules()):
            return self(x)[rows, position]
        normed = F.layer_norm(x, x.shape[-1:], eps=self.ln_1.eps)
        token = x[rows, position]
        token = token + self.attn.at(normed, self.ln_1.weight, self.ln_1.bias, position)
        return token + self.mlp(self.ln_2(token))


class GPT2Backbone(nn.Module):
    """GPT-2 up to and including the final layer norm, randomly initialised.

    ``dropout`` acts on the embeddings, the attention weights and both residual branches. If attention is not
    ``causal``, a token sees all of its row, padding included. ``gradient_checkpointing`` computes each block again in
    the backward pass: less memory, a third more time (Chen et al. 2016, "Training Deep Nets with Sublinear Memory
    Cost").
    """

    def __init__(
        self, shape: GPT2Shape, dropout: float = 0.0, *, causal: bool = True, gradient_checkpointing: bool = False
    ) -> None:
        super().__init__()
        self.shape = shape
        self.gradient_checkpointing = gradient_checkpointing
        self.wte = nn.Embedding(shape.vocabulary, shape.width)
        self.wpe = nn.Embedding(shape.context, shape.width)
        self.drop = nn.Dropout(dropout)
        self.h = nn.ModuleList(Block(shape, dropout, causal) for _ in range(shape.layers))
        self.ln_f = nn.LayerNorm(shape.width, eps=1e-5)
        self._initialise()

    def embed(self, input_ids: Tensor) -> Tensor:
        """Token plus position embeddings, which the first block reads: int64 [B, T] -> float [B, T, width]."""
        length = input_ids.shape[1]
        if length > self.shape.context:
            raise UserError(
                f"a sequence of {length} tokens does not fit the backbone's context of {self.shape.context}: "
                "truncate it, or use a backbone with a larger --model.context"
            )
        positions = torch.arange(length, device=input_ids.device)  # (T)
        return self.drop(self.wte(input_ids) + self.wpe(positions))  # (B, T, width)

    def forward(self, input_ids: Tensor) -> Tensor:
        """Compute the hidden states after the final layer norm: int64 [B, T] -> float [B, T, width]."""
        return self.ln_f(self.before_block(input_ids, len(self.h)))

    def before_block(self, input_ids: Tensor, number: int) -> Tensor:
        """The hidden states that block ``number`` reads, or the final layer norm for the number of blocks."""
        return self._run(self.embed(input_ids), self.h[:number])

    def _run(self, x: Tensor, blocks: Iterable[nn.Module]) -> Tensor:
        for block in blocks:
            if self.gradient_checkpointing and torch.is_grad_enabled():
                x = checkpoint(block, x, use_reentrant=False)
            else:
                x = block(x)
        return x

    def at(self, x: Tensor, position: Tensor, number: int) -> Tensor:
        """One token's hidden state after the final layer norm, float [B, width]; the last block works for it alone.

        It runs from block ``number``, which reads x, float [B, T, width]. ``position`` is each row's token, int64 [B].
        """
        if number == len(self.h):
            return self.ln_f(x[torch.arange(len(x), device=x.device), position])
        return self.ln_f(cast(Block, self.h[-1]).at(self._run(x, self.h[number:-1]), position))

    def after_block(self, x: Tensor, number: int) -> Tensor:
        """All tokens' hidden states after the final layer norm, from what a block reads: float [B, T, width]."""
        return self.ln_f(self._run(x, self.h[number:]))

    def _initialise(self) -> None:
        """Draw the weights as GPT-2 does: N(0, 0.02), biases zero, layer norms the identity.

        A hidden state is the sum of 2 * layers residual branches, so their last projections are divided by
        the square root of that number (section 2.3 of the paper).
        """
        for name, module in self.named_modules():
            if isinstance(module, nn.Linear):
                std = 0.02 / math.sqrt(2 * self.shape.layers) if name.endswith("c_proj") else 0.02
                nn.init.normal_(module.weight, std=std)
                nn.init.zeros_(module.bias)
            elif isinstance(module, nn.Embedding):
                nn.init.normal_(module.weight, std=0.02)
