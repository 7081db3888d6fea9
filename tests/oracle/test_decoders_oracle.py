import json

import numpy as np
import pytest
from compare import answers, cached_answers, stored
from decoder_cases import CASES, NEW_TOKENS, PROMPT_TOKENS
from drawn import drawn_model, relative_error
from make_decoders import oracle

from workloads import generate, read_config


@pytest.mark.parametrize("case", CASES)
def test_every_step_of_a_decoder_agrees_with_transformers(case: str) -> None:
    model, description = oracle(case)
    fixture = stored(f"decoders/{case}")
    assert json.loads(str(fixture["config"])) == description
    theirs = answers(model, fixture["ids"], PROMPT_TOKENS)
    assert relative_error(fixture["logits"], theirs) < 1e-6
    assert relative_error(cached_answers(model, fixture["ids"], PROMPT_TOKENS), theirs) < 1e-5
    ours = drawn_model(read_config({**description, "source": "drawn"}))
    prompt = fixture["ids"][:, :PROMPT_TOKENS]
    run = generate(ours, prompt, new_tokens=NEW_TOKENS, batch=len(prompt))
    assert np.array_equal(run.token_ids, fixture["ids"][:, PROMPT_TOKENS:])
    assert relative_error(run.logits, theirs) < 1e-5
