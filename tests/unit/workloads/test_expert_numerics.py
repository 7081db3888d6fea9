"""Mixtures against what transformers answered, kept in tests/fixtures/experts."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from drawn import DrawnModel, drawn_model, relative_error

from workloads import generate, read_config

FIXTURES = Path(__file__).parents[2] / "fixtures" / "experts"
CASES = sorted(path.stem for path in FIXTURES.glob("*.npz"))
PROMPT, NEW = 6, 5


def stored(case: str, **changes: Any) -> tuple[DrawnModel, Any, Any]:
    with np.load(FIXTURES / f"{case}.npz", allow_pickle=False) as file:
        described = json.loads(str(file["config"])) | changes
        return drawn_model(read_config(described), case), file["ids"], file["logits"]


def test_every_case_of_the_oracle_has_its_fixture() -> None:
    assert len(CASES) == 7


@pytest.mark.parametrize("case", CASES)
def test_prefill_and_each_decode_pass_of_a_mixture_agree_with_transformers(case: str) -> None:
    model, ids, logits = stored(case)
    run = generate(model, ids[:, :PROMPT], new_tokens=NEW, batch=2)
    assert relative_error(run.logits, logits) < 1e-5  # float32 on both sides
    assert np.array_equal(run.token_ids, ids[:, PROMPT:])


@pytest.mark.parametrize("case", [case for case in CASES if case.startswith("deepseek")])
def test_both_forms_of_latent_attention_give_the_same_numbers(case: str) -> None:
    runs = [
        generate(model, ids[:, :PROMPT], new_tokens=NEW, batch=2, dtype="float64")
        for form in ("naive", "absorbed", "fewest_flops")
        for model, ids, _ in [stored(case, latent_form=form)]
    ]
    for other in runs[1:]:
        assert relative_error(other.logits, runs[0].logits) < 1e-12
    assert len({run.trace.digest() for run in runs}) == 3


@pytest.mark.parametrize("case", CASES)
def test_decode_of_a_mixture_equals_recomputation_in_float64(case: str) -> None:
    model, ids, _ = stored(case)
    run = generate(model, ids[:, :PROMPT], new_tokens=NEW, batch=2, dtype="float64")
    for given in range(1, NEW):
        whole = np.concatenate([ids[:, :PROMPT], run.token_ids[:, :given]], axis=1)
        again = generate(model, whole, new_tokens=1, batch=2, dtype="float64")
        assert relative_error(again.logits[:, 0], run.logits[:, given]) < 1e-12


@pytest.mark.parametrize("case", CASES)
def test_a_run_told_to_be_balanced_has_the_digest_of_shapes_alone(case: str) -> None:
    model, ids, _ = stored(case, routing="balanced")
    executed = generate(model, ids[:, :PROMPT], new_tokens=NEW, batch=2)
    shaped = generate(model, prompt_tokens=PROMPT, new_tokens=NEW, batch=2, execute=False)
    assert shaped.trace == executed.trace
    assert shaped.trace.digest() == executed.trace.digest()
    assert shaped.trace.about["routing"] == executed.trace.about["routing"] == "balanced"


def test_numbers_route_for_themselves_unless_told_otherwise() -> None:
    model, ids, _ = stored("mixtral")
    balanced = replace(model, config=model.config.with_routing("balanced"))
    run = generate(model, ids[:, :PROMPT], new_tokens=NEW, batch=2)
    ruled = generate(balanced, ids[:, :PROMPT], new_tokens=NEW, batch=2)
    assert run.trace.about["routing"] == "data"
    assert run.trace.digest() != ruled.trace.digest()
    assert relative_error(run.logits, ruled.logits) > 1e-3
