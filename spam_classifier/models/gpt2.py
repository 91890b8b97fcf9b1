"""GPT-2 without its language-model head, in plain PyTorch: token ids in, hidden states out.

The architecture is that of Radford et al., "Language Models are Unsupervised Multitask Learners" (2019).
Parameters carry the names of the published checkpoints. Projections are ``nn.Linear``, whose weights are
[out, in] where the checkpoint files hold [in, out].
"""

import math
from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F  # noqa: N812  # PyTorch's own abbreviation
from torch import Tensor, nn

from spam_classifier.errors import UserError


@dataclass(frozen=True)
class GPT2Shape:
    """The sizes that tell one GPT-2 from another.

    Attributes:
        layers: Number of transformer blocks.
        width: Size of a hidden state, a multiple of ``heads``.
        heads: Attention heads per block.
        context: Most tokens in a sequence.
        vocabulary: Number of different tokens.

    Raises:
        UserError: If a size is not positive, or ``heads`` does not divide ``width``.
    """

    layers: int
    width: int
    heads: int
    context: int = 1024
    vocabulary: int = 50257

    def __post_init__(self) -> None:
        for name, size in asdict(self).items():
            if size < 1:
                raise UserError(f"the backbone's {name} must be at least 1, not {size}: give a positive number")
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


class CausalSelfAttention(nn.Module):
    """Multi-head attention in which a token sees itself and the tokens before it."""

    def __init__(self, shape: GPT2Shape, dropout: float) -> None:
        super().__init__()
        self.heads = shape.heads
        self.dropout = dropout
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
            query, key, value, is_causal=True, dropout_p=self.dropout if self.training else 0.0
        )  # (B, heads, T, width/heads)
        return self.c_proj(mixed.transpose(1, 2).reshape(batch, length, width))


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

    def __init__(self, shape: GPT2Shape, dropout: float) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(shape.width, eps=1e-5)
        self.attn = CausalSelfAttention(shape, dropout)
        self.ln_2 = nn.LayerNorm(shape.width, eps=1e-5)
        self.mlp = MLP(shape)
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Refine the hidden states: float [B, T, width] -> float [B, T, width]."""
        x = x + self.drop(self.attn(self.ln_1(x)))
        return x + self.drop(self.mlp(self.ln_2(x)))


class GPT2Backbone(nn.Module):
    """GPT-2 up to and including the final layer norm, randomly initialised.

    Args:
        shape: The sizes.
        dropout: Probability of dropping an element of the embeddings, of the attention weights and of
            both residual branches while training.
    """

    def __init__(self, shape: GPT2Shape, dropout: float = 0.0) -> None:
        super().__init__()
        self.shape = shape
        self.wte = nn.Embedding(shape.vocabulary, shape.width)
        self.wpe = nn.Embedding(shape.context, shape.width)
        self.drop = nn.Dropout(dropout)
        self.h = nn.ModuleList(Block(shape, dropout) for _ in range(shape.layers))
        self.ln_f = nn.LayerNorm(shape.width, eps=1e-5)
        self._initialise()

    def embed(self, input_ids: Tensor) -> Tensor:
        """Add up token and position embeddings: what the first block reads.

        Args:
            input_ids: int64 [B, T].

        Returns:
            float [B, T, width].

        Raises:
            UserError: If T is more than the context.
        """
        length = input_ids.shape[1]
        if length > self.shape.context:
            raise UserError(
                f"a sequence of {length} tokens does not fit the backbone's context of {self.shape.context}: "
                "truncate it, or use a backbone with a larger --model.context"
            )
        positions = torch.arange(length, device=input_ids.device)  # (T)
        return self.drop(self.wte(input_ids) + self.wpe(positions))  # (B, T, width)

    def forward(self, input_ids: Tensor) -> Tensor:
        """Compute the hidden states after the final layer norm.

        Args:
            input_ids: int64 [B, T].

        Returns:
            float [B, T, width].

        Raises:
            UserError: If T is more than the context.
        """
        x = self.embed(input_ids)  # (B, T, width)
        for block in self.h:
            x = block(x)
        return self.ln_f(x)

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
