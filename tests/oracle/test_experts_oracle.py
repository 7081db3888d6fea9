import json

import numpy as np
import pytest
from compare import answers, stored
from drawn import drawn_model, relative_error
from expert_cases import CASES, NEW_TOKENS, PROMPT_TOKENS, description
from make_experts import oracle

from workloads import generate, read_config


@pytest.mark.parametrize("case", CASES)
def test_every_step_of_a_mixture_agrees_with_transformers(case: str) -> None:
    fixture = stored(f"experts/{case}")
    assert json.loads(str(fixture["config"])) == description(case)
    theirs = answers(oracle(case), fixture["ids"], PROMPT_TOKENS)
    assert relative_error(fixture["logits"], theirs) < 1e-6
    prompt = fixture["ids"][:, :PROMPT_TOKENS]
    ours = drawn_model(read_config(description(case)))
    run = generate(ours, prompt, new_tokens=NEW_TOKENS, batch=len(prompt))
    assert np.array_equal(run.token_ids, fixture["ids"][:, PROMPT_TOKENS:])
    assert relative_error(run.logits, theirs) < 1e-5
