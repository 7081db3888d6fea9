import numpy as np
import pytest

from workloads import Model, ModelError, Phase, generate
from workloads.decoding.prefix import PrefixCache

SHARED = [3, 1, 4, 1, 5, 9]


@pytest.mark.parametrize("name", ["llama", "gpt2", "windowed"])
def test_a_request_that_begins_like_another_starts_from_its_cache(
    request: pytest.FixtureRequest, name: str
) -> None:
    model = request.getfixturevalue(name)
    cache = PrefixCache(model, dtype="float64")
    for prompt, reused in (
        ([*SHARED, 2, 6], 0),
        ([*SHARED, 7, 7, 7], 6),
        ([*SHARED, 7, 7, 8], 8),
        ([*SHARED, 7, 7, 8], 8),  # the last token is always prefilled
        ([9, *SHARED], 0),
    ):
        again = cache.answer(prompt, new_tokens=4)
        plain = generate(model, prompt, new_tokens=4, dtype="float64")
        assert again.reused_tokens == reused
        assert np.abs(again.generation.logits - plain.logits).max() < 1e-12
        assert np.array_equal(again.generation.token_ids, plain.token_ids)
        assert again.generation.trace.prompt_tokens == len(prompt) - reused


def test_the_trace_has_no_prefill_for_what_was_found(llama: Model) -> None:
    cache = PrefixCache(llama)
    cache.answer(SHARED, new_tokens=1)
    trace = cache.answer([*SHARED, 2, 6], new_tokens=2).generation.trace
    prefill = [p.op for p in trace.placed_ops() if p.op.phase is Phase.PREFILL]
    assert {op.dims["m"] for op in prefill if op.name == "attention.query"} == {2}
    scores = [p.op for p in trace.placed_ops() if p.op.name == "attention.scores" and p.layer == 0]
    assert [op.dims["n"] for op in scores] == [8, 9]
    appended = [op for op in prefill if op.name == "attention.key.append"]
    assert {(a.bytes, a.offset_bytes) for op in appended for a in op.writes} == {
        (2 * 2 * 4 * 4, 6 * 2 * 4 * 4)
    }


def test_reuse_has_one_digest_by_shape_and_executed(llama: Model) -> None:
    executed, shaped = PrefixCache(llama), PrefixCache(llama, execute=False)
    for prompt in (SHARED, [*SHARED, 2, 6], [3, 1, 2]):
        one, other = (cache.answer(prompt, new_tokens=3) for cache in (executed, shaped))
        assert one.generation.trace == other.generation.trace
        assert one.reused_tokens == other.reused_tokens
    assert other.generation.token_ids is None


def test_a_prompt_replaces_those_that_it_begins_with(llama: Model) -> None:
    cache = PrefixCache(llama, execute=False)
    for prompt in ([1, 2], [1, 2, 3, 4], [1, 2, 3], [1, 5]):
        cache.answer(prompt, new_tokens=1)
    assert cache.kept_positions == 4 + 2


def test_prefix_caching_takes_one_prompt_at_a_time(llama: Model) -> None:
    with pytest.raises(ModelError, match="give one prompt"):
        PrefixCache(llama).answer([[1, 2], [3, 4]], new_tokens=1)
