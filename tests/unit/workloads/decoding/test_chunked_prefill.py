import numpy as np
import pytest

from workloads import Model, ModelError, Phase, generate
from workloads.decoding.answer import sample

PROMPT = [[3, 1, 4, 1, 5, 9, 2, 6, 5, 3], [2, 7, 1, 8, 2, 8, 1, 8, 2, 8]]


@pytest.mark.parametrize("name", ["llama", "gpt2", "windowed", "alibi"])
@pytest.mark.parametrize("chunk_tokens", [1, 3, 5, 10, 99])
def test_a_prompt_in_pieces_gives_what_the_whole_prompt_gives(
    request: pytest.FixtureRequest, name: str, chunk_tokens: int
) -> None:
    model = request.getfixturevalue(name)
    whole = generate(model, PROMPT, new_tokens=4, batch=2, dtype="float64")
    pieces = sample(
        model, PROMPT, new_tokens=4, batch=2, dtype="float64", chunk_tokens=chunk_tokens
    )
    assert np.abs(pieces.logits - whole.logits).max() < 1e-12
    assert np.array_equal(pieces.token_ids, whole.token_ids)


def test_a_piece_as_long_as_the_prompt_is_the_plain_run(llama: Model) -> None:
    whole = generate(llama, PROMPT, new_tokens=3, batch=2).trace
    assert sample(llama, PROMPT, new_tokens=3, batch=2, chunk_tokens=10).trace == whole


@pytest.mark.parametrize("chunk_tokens", [1, 4, 7])
def test_pieces_have_one_digest_by_shape_and_executed(llama: Model, chunk_tokens: int) -> None:
    executed = sample(llama, PROMPT, new_tokens=3, batch=2, chunk_tokens=chunk_tokens)
    shaped = sample(
        llama, prompt_tokens=10, new_tokens=3, batch=2, chunk_tokens=chunk_tokens, execute=False
    )
    assert shaped.trace == executed.trace


def test_pieces_compute_the_products_of_the_whole_prompt_and_one_row_of_logits(
    llama: Model,
) -> None:
    def flops(name: str, chunk_tokens: int | None) -> int:
        trace = sample(
            llama, prompt_tokens=10, new_tokens=1, execute=False, chunk_tokens=chunk_tokens
        ).trace
        assert {op.op.phase for op in trace.placed_ops()} == {Phase.PREFILL}
        return sum(p.op.flops for p in trace.placed_ops() if p.op.name == name)

    for name in ("attention.query", "mlp.down", "head"):
        assert flops(name, 4) == flops(name, None)
    # queries of a piece see what is filled then: 4 x 4 + 4 x 8 + 2 x 10 of 10 x 10 scores
    assert flops("attention.scores", 4) == 3 * 2 * 4 * 4 * (4 * 4 + 4 * 8 + 2 * 10)
    assert flops("attention.scores", None) == 3 * 2 * 4 * 4 * 10 * 10


def test_an_empty_piece_is_refused(llama: Model) -> None:
    with pytest.raises(ModelError, match="chunk_tokens is 0; give at least 1"):
        sample(llama, [1, 2], new_tokens=1, chunk_tokens=0)
