"""Laws that a pass of any encoder keeps, on random small models and ragged batches."""

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from workloads import Model, encode, read_config


@st.composite
def models(draw: Any) -> Model:
    heads = draw(st.integers(1, 3))
    ernie = {"use_task_id": draw(st.booleans()), "task_type_vocab_size": draw(st.integers(1, 3))}
    style = draw(st.sampled_from([{"model_type": "bert"}, {"model_type": "ernie", **ernie}]))
    config = read_config(
        {
            "source": "random",
            "hidden_size": heads * draw(st.integers(1, 4)),
            "num_hidden_layers": draw(st.integers(1, 3)),
            "num_attention_heads": heads,
            "intermediate_size": draw(st.integers(1, 9)),
            "vocab_size": draw(st.integers(2, 9)),
            "max_position_embeddings": 8,
            "type_vocab_size": draw(st.integers(1, 3)),
            "pooler": draw(st.booleans()),
            "masked_lm_head": draw(st.booleans()),
            **style,
        }
    )
    return Model(name="random", config=config, tokenizer=None, seed=0)


batches = st.lists(st.integers(1, 8), min_size=1, max_size=3)


@given(model=models(), lengths=batches, sentences=st.booleans())
@settings(max_examples=40, deadline=None)
def test_executed_and_shape_only_passes_have_one_digest(
    model: Model, lengths: list[int], sentences: bool
) -> None:
    asked = {"tokens": lengths, "batch": len(lengths), "sentences": sentences}
    executed = encode(model, **asked).trace
    shaped = encode(model, **asked, execute=False).trace
    executed.verify()
    assert executed.digest() == shaped.digest()


@given(model=models(), lengths=batches)
@settings(max_examples=40, deadline=None)
def test_a_text_means_the_same_whatever_it_is_padded_with(model: Model, lengths: list[int]) -> None:
    together = encode(model, tokens=lengths, batch=len(lengths), dtype="float64")
    for row, length in enumerate(lengths):
        alone = encode(model, together.ids[row, :length], dtype="float64")
        assert np.abs(together.hidden[row, :length] - alone.hidden[0]).max() < 1e-9
