"""Laws that the trace of any model keeps, on random small models."""

from typing import Any

import decoder_closed_forms as closed
import numpy as np
from drawn import drawn_model
from hypothesis import given, settings
from hypothesis import strategies as st
from random_decoders import models, requests, small

from workloads import Model, Role, Trace, generate, parameter_count
from workloads.decoding.answer import GREEDY, answer
from workloads.decoding.request import checked_request
from workloads.generate import Generation
from workloads.trace import Access


@given(model=models(), request=requests)
@settings(max_examples=40, deadline=None)
def test_executed_and_shape_only_runs_have_one_digest(
    model: Model, request: dict[str, Any]
) -> None:
    executed = generate(model, **request).trace
    shaped = generate(model, **request, execute=False).trace
    executed.verify()
    shaped.verify()
    assert executed.digest() == shaped.digest()


@given(model=models(), request=requests)
@settings(max_examples=40, deadline=None)
def test_replayed_decode_passes_have_the_numbers_and_the_trace_of_walked_ones(
    model: Model, request: dict[str, Any]
) -> None:
    drawn = drawn_model(model.config)
    replayed, walked = (answered(drawn, request, replays=replays) for replays in (True, False))
    assert replayed.trace.digest() == walked.trace.digest()
    assert np.array_equal(replayed.logits, walked.logits)


def answered(model: Model, request: dict[str, Any], *, replays: bool) -> Generation:
    """What `generate` does, without a temperature."""
    checked = checked_request(model, **request | {"temperature": None})
    tracer = checked.tracer()
    tracer.replays = replays
    return answer(checked, checked.session(tracer), [checked.prompt(tracer)], GREEDY)


@given(model=models(), request=requests)
@settings(max_examples=100, deadline=None)
def test_arithmetic_and_bytes_of_every_pass_have_their_closed_forms(
    model: Model, request: dict[str, Any]
) -> None:
    trace = generate(model, **request, execute=False).trace
    batch, prompt, new = request["batch"], request["prompt_tokens"], request["new_tokens"]
    sampled = request["temperature"] is not None
    for step, one in enumerate(closed.passes(model.config, batch, prompt, new)):
        ops = [placed.op for placed in trace.placed_ops() if placed.op.step == step]
        assert sum(op.flops for op in ops) == closed.flops(one, sampled=sampled)
        roots = sum(op.transcendentals for op in ops)
        assert roots == closed.transcendentals(one, sampled=sampled)
        reads = [access for op in ops for access in op.reads]
        writes = [access for op in ops for access in op.writes]
        assert moved(trace, reads, Role.KV_CACHE) == closed.cache_bytes_read(one)
        assert moved(trace, writes, Role.KV_CACHE) == closed.cache_bytes_written(one)
        assert moved(trace, writes, Role.ACTIVATION) == closed.activation_bytes_written(one)


def moved(trace: Trace, accesses: list[Access], role: Role) -> int:
    """Bytes of the accesses to tensors of a role."""
    return sum(a.bytes for a in accesses if trace.tensors[a.tensor].role is role)


@given(model=models())
@settings(max_examples=100, deadline=None)
def test_parameters_have_their_closed_form(model: Model) -> None:
    assert parameter_count(model.config) == closed.parameters(model.config)


@given(model=models(), batch=small, new_tokens=st.integers(2, 5))
@settings(max_examples=25, deadline=None)
def test_decode_with_a_cache_equals_recomputation(
    model: Model, batch: int, new_tokens: int
) -> None:
    drawn = drawn_model(model.config)
    prompt = np.arange(batch * 4).reshape(batch, 4) % model.config.vocab_size
    run = generate(drawn, prompt, new_tokens=new_tokens, batch=batch, dtype="float64")
    whole = np.concatenate([prompt, run.token_ids[:, :-1]], axis=1)
    again = generate(drawn, whole, new_tokens=1, batch=batch, dtype="float64")
    size = max(1.0, np.abs(again.logits).max())
    assert np.abs(again.logits[:, 0] - run.logits[:, -1]).max() < 1e-11 * size


@given(model=models(), request=requests)
@settings(max_examples=40, deadline=None)
def test_nothing_is_read_before_it_is_written_and_every_read_waits_for_its_writer(
    model: Model, request: dict[str, Any]
) -> None:
    trace = generate(model, **request, execute=False).trace
    writer: dict[tuple[int, int | None], int] = {}
    for placed in trace.placed_ops():
        for access in placed.op.reads:
            last = writer.get(place(trace, access.tensor, placed.layer))
            if trace.tensors[access.tensor].role in {Role.ACTIVATION, Role.KV_CACHE}:
                assert last in placed.dependencies
        for access in placed.op.writes:
            writer[place(trace, access.tensor, placed.layer)] = placed.index


@given(model=models(), request=requests)
@settings(max_examples=40, deadline=None)
def test_no_buffer_is_overwritten_before_its_readers_are_done(
    model: Model, request: dict[str, Any]
) -> None:
    trace = generate(model, **request, execute=False).trace
    before: list[int] = []  # bit set of all that an operation waits for, directly or not
    users: dict[tuple[int, int | None], int] = {}
    for placed in trace.placed_ops():
        waits = 0
        for dependency in placed.dependencies:
            waits |= before[dependency] | 1 << dependency
        before.append(waits)
        for access in placed.op.writes:
            where = place(trace, access.tensor, placed.layer)
            assert users.get(where, 0) & ~waits == 0
            users[where] = 1 << placed.index
        for access in placed.op.reads:
            where = place(trace, access.tensor, placed.layer)
            users[where] = users.get(where, 0) | 1 << placed.index


def place(trace: Trace, tensor: int, layer: int | None) -> tuple[int, int | None]:
    """A piece of memory: a layer's own instance, or what all share."""
    return tensor, layer if trace.tensors[tensor].layer_stride_bytes else None


@given(model=models(), request=requests)
@settings(max_examples=20, deadline=None)
def test_weights_are_the_parameters_and_each_pass_reads_them_all_but_the_tables(
    model: Model, request: dict[str, Any]
) -> None:
    trace = generate(model, **request, execute=False).trace
    assert trace.weight_bytes == 4 * parameter_count(model.config)
    tables = {"embedding.token.weight", "embedding.position.weight"}
    expected = sum(
        tensor.total_bytes
        for tensor in trace.tensors
        if tensor.role is Role.WEIGHT and tensor.name not in tables
    )
    for step in range(request["new_tokens"]):
        read = sum(
            access.bytes
            for placed in trace.placed_ops()
            if placed.op.step == step
            for access in placed.op.reads
            if trace.tensors[access.tensor].role is Role.WEIGHT
            and trace.tensors[access.tensor].name not in tables
        )
        assert read == expected
