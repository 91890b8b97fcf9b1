"""The book's GPT-2 classifier, spelt out: what ours is compared with in speed and numbers."""

from pathlib import Path

import torch
import transformers
from torch import Tensor, nn


class Attention(nn.Module):
    """Masked multi-head attention, spelt out."""

    def __init__(self, width: int, heads: int, context: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))
        self.register_buffer("mask", torch.triu(torch.ones(context, context), diagonal=1))

    def forward(self, x: Tensor) -> Tensor:
        """Float [B, T, width] to the same."""
        batch, length, width = x.shape
        query, key, value = (
            project(x).view(batch, length, self.heads, -1).transpose(1, 2)
            for project in (self.query, self.key, self.value)
        )
        scores = query @ key.transpose(2, 3)
        scores.masked_fill_(self.mask.bool()[:length, :length], -torch.inf)
        weights = torch.softmax(scores / key.shape[-1] ** 0.5, dim=-1)
        return self.out((weights @ value).transpose(1, 2).contiguous().view(batch, length, width))


class LayerNorm(nn.Module):
    """Layer norm, spelt out."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.scale, self.shift = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        """Float [B, T, width] to the same."""
        mean, variance = x.mean(dim=-1, keepdim=True), x.var(dim=-1, keepdim=True, unbiased=False)
        return self.scale * (x - mean) / torch.sqrt(variance + 1e-5) + self.shift


class GELU(nn.Module):
    """GELU by the hyperbolic tangent, spelt out."""

    def forward(self, x: Tensor) -> Tensor:
        """Elementwise."""
        return 0.5 * x * (1 + torch.tanh((2 / torch.pi) ** 0.5 * (x + 0.044715 * torch.pow(x, 3))))


class PlainBlock(nn.Module):
    """A transformer block."""

    def __init__(self, width: int, heads: int, context: int) -> None:
        super().__init__()
        self.norm_1, self.attention = LayerNorm(width), Attention(width, heads, context)
        self.norm_2 = LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        """Float [B, T, width] to the same."""
        x = x + self.attention(self.norm_1(x))
        return x + self.mlp(self.norm_2(x))


class PlainClassifier(nn.Module):
    """The book's model: every position goes through every block and the head."""

    def __init__(self, directory: Path) -> None:
        super().__init__()
        reference = transformers.GPT2Model.from_pretrained(directory)
        config = reference.config
        self.tokens, self.positions = reference.wte, reference.wpe
        self.blocks = nn.Sequential(
            *(PlainBlock(config.n_embd, config.n_head, config.n_positions) for _ in range(config.n_layer))
        )
        self.norm = LayerNorm(config.n_embd)
        for block, stored in zip(self.blocks, reference.h, strict=True):
            attention = block.attention
            weights = stored.attn.c_attn.weight.detach().t().chunk(3)
            biases = stored.attn.c_attn.bias.detach().chunk(3)
            for project, weight, bias in zip(
                (attention.query, attention.key, attention.value), weights, biases, strict=True
            ):
                project.load_state_dict({"weight": weight, "bias": bias})
            for linear, conv in (
                (attention.out, stored.attn.c_proj),
                (block.mlp[0], stored.mlp.c_fc),
                (block.mlp[2], stored.mlp.c_proj),
            ):
                linear.load_state_dict({"weight": conv.weight.detach().t(), "bias": conv.bias.detach()})
        self.requires_grad_(False)
        self.head = nn.Linear(config.n_embd, 2)
        self.blocks[-1].requires_grad_(True)
        self.norm.requires_grad_(True)

    def forward(self, input_ids: Tensor) -> Tensor:
        """Logits of every position, float [B, T, 2]."""
        x = self.tokens(input_ids) + self.positions(torch.arange(input_ids.shape[1], device=input_ids.device))
        return self.head(self.norm(self.blocks(x)))
