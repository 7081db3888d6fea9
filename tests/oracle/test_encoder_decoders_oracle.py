import json

import numpy as np
import pytest
from compare import stored
from drawn import drawn_model, relative_error
from encoder_decoder_cases import NEW_TOKENS, SOURCES
from make_encoder_decoders import CASES, oracle, run

from workloads import read_config
from workloads.answer import answer


@pytest.mark.parametrize("case", CASES)
def test_encoder_and_every_step_of_the_decoder_agree_with_transformers(case: str) -> None:
    model, description = oracle(case)
    fixture = stored(f"encoder_decoders/{case}")
    assert json.loads(str(fixture["config"])) == description
    encoded, logits = run(model, fixture["source"], fixture["ids"][:, :-1])
    assert relative_error(fixture["encoded"], encoded) < 1e-6
    assert relative_error(fixture["logits"], logits) < 1e-6
    ours = answer(
        drawn_model(read_config({**description, "source": "drawn"})),
        fixture["source"],
        new_tokens=NEW_TOKENS,
        batch=SOURCES,
    )
    assert np.array_equal(ours.token_ids, fixture["ids"][:, 1:])
    assert relative_error(ours.encoded, encoded) < 1e-5
    assert relative_error(ours.logits, logits) < 1e-5
