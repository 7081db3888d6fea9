"""Every family of decoders against what transformers answered, kept in tests/fixtures/decoders."""

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from drawn import DrawnModel, drawn_model, relative_error

from workloads import generate, read_config
from workloads.array import Values
from workloads.descriptions.decoders import DECODERS
from workloads.descriptions.gpts import GPTS

FIXTURES = Path(__file__).parents[2] / "fixtures"
CASES = sorted(path.stem for path in (FIXTURES / "decoders").glob("*.npz"))


class Case(NamedTuple):
    model: DrawnModel
    prompt: Values  # [B, T]
    new: Values  # [B, N]
    logits: Values  # [B, N, V]


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    with np.load(FIXTURES / "decoders" / f"{request.param}.npz", allow_pickle=False) as file:
        config = read_config({**json.loads(str(file["config"])), "source": "drawn"})
        ids, logits = file["ids"], file["logits"]
    count = logits.shape[1]
    return Case(drawn_model(config, request.param), ids[:, :-count], ids[:, -count:], logits)


def test_every_family_that_is_read_has_an_answer_of_the_oracle() -> None:
    families = set()
    for name in CASES:
        with np.load(FIXTURES / "decoders" / f"{name}.npz", allow_pickle=False) as file:
            families.add(json.loads(str(file["config"]))["model_type"])
    assert families == set(DECODERS) | set(GPTS)


def test_prefill_and_each_decode_pass_agree_with_transformers(case: Case) -> None:
    run = generate(case.model, case.prompt, new_tokens=case.new.shape[1], batch=len(case.prompt))
    assert relative_error(run.logits, case.logits) < 1e-5  # float32 on both sides
    assert np.array_equal(run.token_ids, case.new)


def test_decode_with_a_cache_equals_recomputation_in_float64(case: Case) -> None:
    count = case.new.shape[1]
    run = generate(case.model, case.prompt, new_tokens=count, batch=2, dtype="float64")
    for given in range(1, count):
        whole = np.concatenate([case.prompt, run.token_ids[:, :given]], axis=1)
        again = generate(case.model, whole, new_tokens=1, batch=2, dtype="float64")
        assert np.abs(again.logits[:, 0] - run.logits[:, given]).max() < 1e-12


def test_shape_only_gives_the_digest_of_the_executed_run(case: Case) -> None:
    request = {"prompt_tokens": 6, "new_tokens": 4, "batch": 2}
    executed = generate(case.model, **request).trace
    shaped = generate(case.model, **request, execute=False).trace
    assert shaped == executed
    assert shaped.digest() == executed.digest()
