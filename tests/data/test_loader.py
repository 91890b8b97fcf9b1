"""Which rows a loader hands out, and in what order: over any number of rows, processes and batch sizes."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from spam_classifier.batch import Batch
from spam_classifier.data.encoding import EncodedMessages
from spam_classifier.data.loader import BatchLoader, EpochOrder
from spam_classifier.data.tokenizer import PADDING_ID

rows_counts = st.integers(1, 60)
batch_sizes = st.integers(1, 12)
world_sizes = st.integers(1, 5)
seeds = st.integers(0, 2**64 - 1)


def one_token_messages(count: int) -> EncodedMessages:
    """Message n is the token n, of class n % 3."""
    numbers = torch.arange(count)
    return EncodedMessages(numbers.int(), torch.arange(count + 1), numbers % 3)


def loader(rows: int, batch_size: int, seed: int | None = None, **options: object) -> BatchLoader:
    settings = {"batch_size": batch_size, "max_length": 4, "padded_length": None, **options}
    return BatchLoader(one_token_messages(rows), EpochOrder(rows, seed), **settings)


def row_numbers(batches: list[Batch]) -> list[int]:
    return [row for batch in batches for row in batch.index.tolist()]


@given(st.integers(0, 200), seeds, st.integers(0, 1000))
def test_an_epoch_is_a_permutation_set_by_seed_and_epoch(rows: int, seed: int, epoch: int) -> None:
    order, again = EpochOrder(rows, seed), EpochOrder(rows, seed)
    for other in (3, 1, epoch):  # what came before has no say
        order.set_epoch(other)
    again.set_epoch(epoch)
    first = order.row_numbers()
    assert first.dtype == torch.int64
    assert sorted(first.tolist()) == list(range(rows))
    assert torch.equal(first, order.row_numbers())
    assert torch.equal(first, again.row_numbers())


def test_epochs_and_seeds_differ_and_leave_the_global_random_state() -> None:
    before = torch.get_rng_state()
    drawn = set()
    for seed in range(5):
        order = EpochOrder(100, seed)
        for epoch in range(5):
            order.set_epoch(epoch)
            drawn.add(tuple(order.row_numbers().tolist()))
    assert len(drawn) == 25
    list(loader(20, 4, seed=1))
    assert torch.equal(before, torch.get_rng_state())


def test_the_first_order_may_be_kept() -> None:
    order = EpochOrder(50, seed=3)
    first = order.row_numbers()
    order.always_first = True
    order.set_epoch(4)
    assert torch.equal(order.row_numbers(), first)


def test_without_a_seed_rows_stay_in_place() -> None:
    order = EpochOrder(7, None)
    order.set_epoch(3)
    assert order.row_numbers().tolist() == list(range(7))


@given(rows_counts, batch_sizes, world_sizes)
def test_evaluation_hands_out_every_row_once(rows: int, batch_size: int, world_size: int) -> None:
    shares = [loader(rows, batch_size, rank=rank, world_size=world_size) for rank in range(world_size)]
    passes = [list(share) for share in shares]
    assert [len(share) for share in shares] == [len(batches) for batches in passes]
    assert sorted(row for batches in passes for row in row_numbers(batches)) == list(range(rows))
    assert all(1 <= len(batch.labels) <= batch_size for batches in passes for batch in batches)
    sizes = [len(row_numbers(batches)) for batches in passes]
    assert max(sizes) - min(sizes) <= 1


@given(rows_counts, batch_sizes, world_sizes, seeds)
def test_training_hands_out_full_batches_and_drops_the_rest_only(
    rows: int, batch_size: int, world_size: int, seed: int
) -> None:
    shares = [
        loader(rows, batch_size, seed, drop_incomplete=True, rank=rank, world_size=world_size)
        for rank in range(world_size)
    ]
    batches = rows // (batch_size * world_size)
    assert [len(share) for share in shares] == [batches] * world_size
    passes = [list(share) for share in shares]
    assert [len(own) for own in passes] == [batches] * world_size
    assert all(len(batch.labels) == batch_size for own in passes for batch in own)
    seen = row_numbers([batch for own in passes for batch in own])
    assert len(seen) == len(set(seen)) == batches * batch_size * world_size
    kept = EpochOrder(rows, seed).row_numbers()[: len(seen)]
    assert set(seen) == set(kept.tolist())


@given(rows_counts, batch_sizes, st.integers(0, 20), seeds)
def test_resuming_skips_exactly_the_batches_done(rows: int, batch_size: int, done: int, seed: int) -> None:
    whole = list(loader(rows, batch_size, seed))
    rest = list(loader(rows, batch_size, seed, first_batch=lambda: done))
    assert [batch.index.tolist() for batch in rest] == [batch.index.tolist() for batch in whole[done:]]


def test_the_batches_done_are_asked_for_at_each_pass() -> None:
    done = iter([2, 0])
    resumed = loader(20, 4, first_batch=lambda: next(done))
    assert row_numbers(list(resumed)) == list(range(8, 20))
    assert row_numbers(list(resumed)) == list(range(20))


def test_a_second_pass_starts_anew_and_follows_the_epoch() -> None:
    train = loader(20, 4, seed=7, drop_incomplete=True)
    iterator = iter(train)
    next(iterator)  # left half-way
    first = row_numbers(list(train))
    assert row_numbers(list(train)) == first
    train.sampler.set_epoch(1)
    assert row_numbers(list(train)) != first
    train.sampler.set_epoch(0)
    assert row_numbers(list(train)) == first


def test_a_batch_carries_its_rows_content() -> None:
    for batch in loader(20, 6, seed=3):
        assert batch.input_ids.squeeze(1).tolist() == batch.index.tolist()
        assert torch.equal(batch.labels, batch.index % 3)
        assert batch.lengths.tolist() == [1] * len(batch.index)


@pytest.mark.parametrize(("keep", "tokens"), [("head", [0, 1]), ("tail", [3, 4]), ("both", [0, 4])])
def test_lengths_and_what_is_kept_are_passed_on(keep: str, tokens: list[int]) -> None:
    message = EncodedMessages(torch.arange(5, dtype=torch.int32), torch.tensor([0, 5]), torch.tensor([0]))
    for padded_length, padding in ((4, 2), (None, 0)):
        settings = {"batch_size": 1, "max_length": 2, "padded_length": padded_length, "keep": keep}
        cut = BatchLoader(message, EpochOrder(1, None), **settings)
        assert next(iter(cut)).input_ids.tolist() == [[*tokens, *[PADDING_ID] * padding]]
    assert cut.gather(torch.tensor([0]), None).input_ids.tolist() == [tokens]
