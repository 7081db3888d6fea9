from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest

from workloads import Array, Family, Model, Role, TraceError, Tracer, generate, ops


def layered(execute: bool, kinds: object) -> Tracer:
    """A walk over layers that each scale the residual; those of kind `wide` do so twice."""
    tracer = Tracer(model="test", dtype="float32", execute=execute)
    ones = np.ones(4, np.float32)
    tracer.declare("start", Role.INPUT, (4,), values=lambda _: ones)
    count = kinds if isinstance(kinds, int) else len(kinds)
    tracer.declare("scale", Role.WEIGHT, (4,), layers=count, values=lambda layer: ones * layer)
    for step in range(2):
        tracer.begin_step(step)
        x = ops.activate(tracer.get("start"), activation="gelu_new", name="residual")
        for layer in tracer.layers(kinds):
            x = ops.add(x, tracer.get("scale"), name="scale", buffer="residual")
            if not isinstance(kinds, int) and kinds[layer] == "wide":
                x = ops.add(x, tracer.get("scale"), name="again", buffer="residual")
        ops.activate(x, activation="gelu_new", name="end")
    return tracer


def test_equal_layers_fold_into_one_block_in_both_modes() -> None:
    executed, shaped = layered(True, 5).finish(), layered(False, 5).finish()
    assert [block.repeats for block in executed.blocks] == [1, 5, 1, 1, 5, 1]
    assert executed.digest() == shaped.digest()


def test_layers_of_another_kind_get_blocks_of_their_own_in_both_modes() -> None:
    kinds = ("wide", "plain", "plain", "wide", "wide", "wide")
    executed, shaped = layered(True, kinds).finish(), layered(False, kinds).finish()
    layers = [(block.first_layer, block.repeats) for block in executed.blocks[1:4]]
    assert layers == [(0, 1), (1, 2), (3, 3)]
    assert executed.digest() == shaped.digest()


def test_a_kind_that_makes_no_difference_is_folded_in_both_modes() -> None:
    executed, shaped = layered(True, "abbca").finish(), layered(False, "abbca").finish()
    assert [block.repeats for block in executed.blocks] == [1, 5, 1, 1, 5, 1]
    assert executed.digest() == shaped.digest()


def regrouped(execute: bool) -> Tracer:
    """Two steps over layers with a memory each, which the steps group differently."""
    tracer = Tracer(model="test", dtype="float32", execute=execute)
    numbers = np.zeros((3, 4), np.float32)
    tracer.declare("memory", Role.KV_CACHE, (4,), layers=3, values=numbers.__getitem__)
    tracer.declare("start", Role.INPUT, (4,), values=lambda _: numbers[0])
    for step, kinds in enumerate(("aaa", "abb")):
        tracer.begin_step(step)
        x = ops.activate(tracer.get("start"), activation="gelu_new", name="residual")
        for layer in tracer.layers(kinds):
            if kinds[layer] == "b":
                x = ops.activate(x, activation="gelu_new", name="residual")
            tracer.record(
                kind="keep",
                family=Family.COPY,
                name="keep",
                dims={"elements": 4},
                flops=0,
                reads=(x,),
                updates=tracer.get("memory"),
                shape=(4,),
                compute=lambda x, memory: x + memory,
            )
    return tracer


def test_each_layer_keeps_its_own_last_writer_however_steps_group_the_layers():
    executed, shaped = regrouped(True).finish(), regrouped(False).finish()
    assert [p.dependencies for p in executed.placed_ops() if p.op.name == "keep"] == [
        (0,),
        (0,),
        (0,),
        (4, 1),
        (6, 2),
        (8, 3),
    ]
    assert executed.digest() == shaped.digest()


@pytest.mark.parametrize("execute", [True, False])
def test_what_follows_the_layers_waits_for_the_last_of_them(execute: bool) -> None:
    trace = layered(execute, 5).finish()
    end = [placed for placed in trace.placed_ops() if placed.op.name == "end"]
    assert [placed.index for placed in end] == [6, 13]
    assert [placed.dependencies for placed in end] == [(5,), (12,)]


def test_a_shape_only_run_computes_nothing_and_walks_one_layer_of_a_kind() -> None:
    tracer = Tracer(model="test", dtype="float32", execute=False)
    tracer.declare("x", Role.INPUT, (4,), values=lambda _: pytest.fail("asked for numbers"))
    assert list(tracer.layers("aab")) == [0, 2]
    assert ops.activate(tracer.get("x"), activation="gelu_new", name="y").values is None


def test_the_producer_is_the_operation_that_wrote_an_array(
    tracer: Tracer, given: Callable[..., Array]
) -> None:
    x = given("x", 4)
    y = ops.activate(x, activation="gelu_new", name="y")
    z = ops.activate(y, activation="gelu_new", name="z")
    assert (x.producer, y.producer, z.producer) == (None, 0, 1)


def test_a_buffer_takes_the_largest_shape_and_accesses_say_what_is_touched(
    tracer: Tracer, given: Callable[..., Array]
) -> None:
    large, small = given("large", 6, 4), given("small", 2, 4)
    for x in (small, large, small):
        ops.activate(x, activation="gelu_new", name="y")
    trace = tracer.finish()
    assert [t.shape for t in trace.tensors if t.name == "y"] == [(6, 4)]
    assert [op.bytes_written for op in trace.blocks[0].ops] == [64, 192, 64]


def test_reading_what_was_overwritten_is_an_error_naming_both(
    tracer: Tracer, given: Callable[..., Array]
) -> None:
    x = given("x", 4)
    old = ops.activate(x, activation="gelu_new", name="y")
    ops.activate(x, activation="gelu_new", name="y")
    with pytest.raises(TraceError, match=r"z reads y, which another operation has overwritten"):
        ops.activate(old, activation="gelu_new", name="z")


def test_a_tensor_is_declared_once_and_before_use(
    tracer: Tracer, given: Callable[..., Array]
) -> None:
    given("x", 4)
    with pytest.raises(TraceError, match="x is declared twice"):
        given("x", 4)
    with pytest.raises(TraceError, match="y is not declared"):
        tracer.get("y")


def test_a_buffer_keeps_its_element_type(tracer: Tracer, given: Callable[..., Array]) -> None:
    ops.activate(given("x", 4), activation="gelu_new", name="y")
    with pytest.raises(TraceError, match="buffer y holds activation float64"):
        ops.argmax(given("logits", 2, 3), name="choose", buffer="y")


def test_a_trace_without_operations_is_refused(tracer: Tracer) -> None:
    with pytest.raises(TraceError, match="holds no operations"):
        tracer.finish()


def test_layers_lie_a_constant_aligned_stride_apart_and_nothing_overlaps(tiny_gpt2: Model) -> None:

    trace = generate(tiny_gpt2, [1, 2, 3], new_tokens=3, batch=2).trace
    strides = {t.layer_stride_bytes for t in trace.tensors if t.layers > 1 and t.role == "weight"}
    assert len(strides) == 1
    spans = sorted(
        (tensor.address_in(layer), tensor.address_in(layer) + tensor.bytes)
        for tensor in trace.tensors
        for layer in range(tensor.layers)
    )
    assert all(begin % 64 == 0 for begin, _ in spans)
    assert all(end <= begin for (_, end), (begin, _) in pairwise(spans))


def test_weights_lie_in_the_order_embedding_layers_head(tiny_llama: Model) -> None:

    trace = generate(tiny_llama, [1], new_tokens=1).trace
    weights = sorted((t.address, t.name) for t in trace.tensors if t.role is Role.WEIGHT)
    names = [name for _, name in weights]
    assert (names[0], names[-1]) == ("embedding.token.weight", "head.weight")
    others = [t.address for t in trace.tensors if t.role is not Role.WEIGHT]
    assert min(others) > weights[-1][0]


def there_and_back(execute: bool, kinds: str) -> Tracer:
    """A walk up the layers, each with a memory of its own, and one down that reads them."""
    tracer = Tracer(model="test", dtype="float32", execute=execute)
    numbers = np.ones((len(kinds), 4), np.float32)
    tracer.declare("memory", Role.KV_CACHE, (4,), layers=len(kinds), values=numbers.__getitem__)
    tracer.declare("start", Role.INPUT, (4,), values=lambda _: numbers[0])
    x = ops.activate(tracer.get("start"), activation="relu", name="residual")
    for _ in tracer.layers(kinds):
        tracer.record(
            kind="keep",
            family=Family.COPY,
            name="keep",
            dims={"elements": 4},
            flops=0,
            reads=(x,),
            updates=tracer.get("memory"),
            shape=(4,),
            compute=lambda x, _: x,
        )
    for layer in tracer.layers(kinds, reverse=True):
        x = ops.add(x, tracer.get("memory"), name="back", buffer="residual")
        if kinds[layer] == "b":
            x = ops.activate(x, activation="relu", name="residual")
    return tracer


@pytest.mark.parametrize("kinds", ["aaa", "abb", "aab", "b"])
def test_layers_walked_in_reverse_are_the_same_in_both_modes(kinds: str) -> None:
    executed, shaped = there_and_back(True, kinds).finish(), there_and_back(False, kinds).finish()
    assert executed.digest() == shaped.digest()
    back = [placed for placed in executed.placed_ops() if placed.op.name == "back"]
    assert [placed.layer for placed in back] == list(range(len(kinds)))[::-1]
    # each waits for its own layer's memory, which was written one operation a layer after `start`
    assert all(placed.layer + 1 in placed.dependencies for placed in back)
