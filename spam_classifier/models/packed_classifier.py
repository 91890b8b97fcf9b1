"""A classifier on a CPU by packed blocks: hidden states and logits of many batches, one block after the other."""

from collections.abc import Callable, Iterable, Iterator, Sequence

import torch
from torch import Tensor

from spam_classifier.batch import Batch
from spam_classifier.models.gpt2 import Block
from spam_classifier.models.gpt2_classifier import GPT2Classifier
from spam_classifier.models.packed_blocks import EndToEnd, PackedBlock, PackedLinear

GROUP_TOKENS = 32768  # most tokens whose hidden states are in memory at once


class PackedClassifier:
    """A network's logits without gradients: those of its ``forward``, faster.

    Args:
        net: The network. Later changes of its projections have no effect.
        dtype: Type of the packed weights, as for PackedBlock.
        take_over: Remove each block from the network when it is packed, so that memory holds its weights once.
    """

    def __init__(self, net: GPT2Classifier, dtype: torch.dtype, *, take_over: bool = False) -> None:
        self.net, self.dtype = net, dtype
        self.head = PackedLinear(net.head)
        self.blocks: list[PackedBlock] = []
        for block in list(net.backbone.h):
            self.blocks.append(PackedBlock(block, dtype))  # type: ignore[arg-type]
            if take_over:
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
    """The hidden states behind some of a network's first blocks, without gradients.

    Args:
        net: The network.
        batches: The batches, on the CPU; read in groups of up to GROUP_TOKENS tokens.
        blocks: The blocks. Those that are not packed are packed for each group anew, one at a time.
        dtype: Type of the packed weights.
        on_block: Called with the number of messages whenever a block has processed a batch.

    Yields:
        Each batch, its messages, and their states, float32 [tokens, width].
    """
    for group in _groups(batches):
        all_messages = [EndToEnd.of(batch, whole_rows=net.padding_matters) for batch in group]
        with torch.no_grad():
            states = [messages.embed(net.backbone) for messages in all_messages]
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
    """What ``GPT2Classifier.read_out`` gives by the last block alone, float32 [B, width].

    Args:
        net: The network.
        states: What its last block reads, float32 [tokens, width].
        messages: Whose states they are.
        batch: The batch of the messages.
        last: The last block.
    """
    if net.token_position == "mean":
        after = net.backbone.ln_f(last(states, messages)).split([count * length for count, length in messages.runs])
        runs = zip(messages.runs, after, strict=True)
        return torch.cat([of_run.unflatten(0, run).mean(dim=1) for run, of_run in runs])
    return net.backbone.ln_f(last.at(states, messages, net.position_read(batch.lengths, batch.input_ids.shape[1])))
