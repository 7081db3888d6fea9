"""Laws that the trace of any encoder-decoder keeps, on random small models."""

from typing import Any

from encoder_decoder_cases import FAMILIES, small
from hypothesis import given, settings
from hypothesis import strategies as st

from workloads import Model, Role, answer, parameter_count

few = st.integers(1, 3)


@st.composite
def models(draw: Any) -> Model:
    family = draw(st.sampled_from(sorted(FAMILIES)))
    heads = draw(few)
    width = heads * 2 * draw(few)
    if family in {"marian", "whisper"}:
        shape = {
            f"{side}_{what}": number
            for side in ("encoder", "decoder")
            for what, number in (
                ("layers", draw(few)),
                ("attention_heads", draw(st.sampled_from([1, heads]))),
                ("ffn_dim", draw(st.integers(1, 9))),
            )
        }
    else:
        shape = {
            "num_layers": draw(few),
            "num_decoder_layers": draw(few),
            "num_heads": heads,
            "d_ff": draw(st.integers(1, 9)),
        }
    return small(family, d_model=width, **shape)


requests = st.fixed_dictionaries(
    {
        "source_length": st.sampled_from([2, 6, 16]),
        "new_tokens": st.integers(1, 4),
        "batch": few,
        "start_ids": st.sampled_from([(3,), (3, 4, 5)]),
        "hidden": st.sampled_from([(), (1,)]),
    }
)


@given(model=models(), request=requests)
@settings(max_examples=30, deadline=None)
def test_executed_and_shape_only_answers_have_one_digest(
    model: Model, request: dict[str, Any]
) -> None:
    executed = answer(model, **request).trace
    shaped = answer(model, **request, execute=False).trace
    executed.verify()
    assert executed.digest() == shaped.digest()
    assert shaped.weight_bytes == 4 * parameter_count(model.config)


@given(model=models(), request=requests)
@settings(max_examples=30, deadline=None)
def test_no_operation_reads_what_nothing_wrote_and_none_misses_its_writer(
    model: Model, request: dict[str, Any]
) -> None:
    trace = answer(model, **request, execute=False).trace
    writer: dict[tuple[int, int | None], int] = {}
    for placed in trace.placed_ops():
        for access in placed.op.reads:
            tensor = trace.tensors[access.tensor]
            if tensor.role in {Role.ACTIVATION, Role.KV_CACHE}:
                layer = placed.layer if tensor.layer_stride_bytes else None
                assert writer[access.tensor, layer] in placed.dependencies
        for access in placed.op.writes:
            layer = placed.layer if trace.tensors[access.tensor].layer_stride_bytes else None
            writer[access.tensor, layer] = placed.index
