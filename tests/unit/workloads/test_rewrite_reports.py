"""What rewrites cost in accuracy: measured on glassllm-en and its real weights."""

from collections.abc import Sequence

import numpy as np
import pytest

from workloads import Model, ModelError, generate
from workloads.architectures.rewritten_config import Rewrite
from workloads.rewrites import (
    Distil,
    Float8,
    FuseAttention,
    FuseQkv,
    FuseResidualNorm,
    LowRank,
    PruneHeads,
    PruneTwoOfFour,
    Quantise,
    QuantiseActivations,
    QuantiseCache,
    RewriteReport,
    compare,
    perplexity,
    rewrite,
)

TEXT = (
    "Alice was beginning to get very tired of sitting by her sister on the bank, and of having "
    "nothing to do: once or twice she had peeped into the book"
)
PROMPT_TOKENS = 20


def report(model: Model, *rewrites: Rewrite) -> RewriteReport:
    ids = model.encode(TEXT)
    following = ids[PROMPT_TOKENS : PROMPT_TOKENS + 16]
    return compare(
        model, rewrite(model, rewrites), ids[:PROMPT_TOKENS], len(following), tokens=following
    )


@pytest.mark.parametrize(
    ("rewrites", "relative", "agreement"),
    [
        ([Quantise()], 0.01, 1.0),
        ([Quantise(bits=4, per="group", group=32)], 0.1, 0.9),
        ([Quantise(), QuantiseActivations()], 0.03, 1.0),
        ([Float8()], 0.04, 0.9),
        ([QuantiseCache()], 0.01, 1.0),
    ],
)
def test_few_bits_stay_close_to_the_original(
    english: Model, rewrites: Sequence[Rewrite], relative: float, agreement: float
) -> None:
    measured = report(english, *rewrites)
    assert 0 < measured.relative_error < relative
    assert 0 < measured.kl_nats < relative
    assert measured.top1_agreement >= agreement
    assert 0 < measured.mean_error < measured.max_error
    assert measured.rewritten_perplexity == pytest.approx(measured.perplexity, rel=0.15)


def test_fewer_bits_cost_more_and_finer_scales_less(english: Model) -> None:
    eight, four, grouped = (
        report(english, rewritten).relative_error
        for rewritten in (
            Quantise(),
            Quantise(bits=4),
            Quantise(bits=4, per="group", group=16, symmetric=False),
        )
    )
    assert eight < grouped < four


@pytest.mark.parametrize(
    "rewrites",
    [
        [PruneTwoOfFour()],
        [PruneHeads(keep=1)],
        [LowRank(rank=60)],
        [Distil(layers=2)],
    ],
)
def test_what_leaves_weights_out_is_measured_and_saves_bytes_and_flops(
    english: Model, rewrites: Sequence[Rewrite]
) -> None:
    measured = report(english, *rewrites)
    assert measured.kl_nats > 0.1  # nothing was taught again: the cost is plain to see
    assert measured.top1_agreement < 1
    for size in ("weight_bytes", "flops", "trace_bytes"):
        assert getattr(measured.after, size) < getattr(measured.before, size)


def test_fusion_costs_rounding_and_saves_operations_and_bytes(english: Model) -> None:
    measured = report(english, FuseQkv(), FuseResidualNorm(), FuseAttention(tile=8))
    assert measured.relative_error < 1e-5
    assert measured.top1_agreement == 1
    assert measured.after.weight_bytes == measured.before.weight_bytes
    assert measured.after.kv_bytes == measured.before.kv_bytes
    assert measured.after.trace_bytes < measured.before.trace_bytes
    assert measured.after.operations < measured.before.operations


def test_a_model_is_no_distance_from_itself(english: Model) -> None:
    same = report(english)
    assert (same.max_error, same.kl_nats, same.top1_agreement) == (0, 0, 1)
    assert same.before == same.after
    assert {row["ratio"] for row in same.rows()} == {1}


def test_the_report_is_of_the_logits_that_generation_gives(english: Model) -> None:
    ids = english.encode("Alice was")
    rounded = rewrite(english, [Quantise(bits=4)])
    measured = compare(english, rounded, ids, 3)
    whole = generate(english, ids, new_tokens=3)
    texts = [[*ids, *whole.token_ids[0, :n]] for n in range(3)]
    after = np.concatenate([generate(rounded, t, new_tokens=1).logits[0] for t in texts])
    assert measured.max_error == pytest.approx(np.abs(after - whole.logits[0]).max(), rel=1e-5)
    chosen = after[np.arange(3), whole.token_ids[0]].astype(float)
    logs = chosen - np.log(np.exp(after.astype(float)).sum(axis=1))
    assert measured.rewritten_perplexity == pytest.approx(np.exp(-logs.mean()))


def test_rows_name_what_was_measured(english: Model) -> None:
    measured = report(english, Quantise())
    rows = {row["quantity"]: row for row in measured.rows()}
    assert list(rows) == [
        "perplexity",
        "weight_bytes",
        "kv_bytes",
        "flops",
        "trace_bytes",
        "operations",
    ]
    assert rows["weight_bytes"]["original"] == 4 * 852_608
    assert rows["weight_bytes"]["ratio"] == measured.after.weight_bytes / (4 * 852_608)
    assert measured.errors()["max_error"] == measured.max_error


def test_perplexity_of_a_text_needs_something_to_predict(english: Model) -> None:
    ids = english.encode("Alice was")
    assert 1 < perplexity(english, english.encode(TEXT)[:12]) < 1024
    for first in (0, len(ids)):
        with pytest.raises(ModelError, match=f"first is {first}; of {len(ids)} tokens give 1 to"):
            perplexity(english, ids, first=first)


def test_a_comparison_of_no_tokens_is_refused(english: Model) -> None:
    with pytest.raises(ModelError, match="the prompt is empty"):
        compare(english, english, [], 3)
    with pytest.raises(ModelError, match="2 tokens follow; give the 3 to be predicted"):
        compare(english, english, [1], 3, tokens=[2, 3])
    with pytest.raises(ModelError, match="new_tokens is 0"):
        compare(english, english, [1], 0)
