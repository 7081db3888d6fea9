"""Against what torch and transformers answered; tests/oracle makes and checks the fixtures."""

import json
from pathlib import Path

import numpy as np
import pytest
from drawn import drawn_model, relative_error
from encoder_decoder_cases import FAMILIES, NEW_TOKENS, SOURCES

from workloads import read_config
from workloads.answer import answer

FIXTURES = Path(__file__).parents[2] / "fixtures" / "encoder_decoders"


def test_every_family_has_a_fixture_and_every_fixture_a_family() -> None:
    assert {path.stem for path in FIXTURES.glob("*.npz")} == set(FAMILIES)


@pytest.mark.parametrize("case", FAMILIES)
def test_encoder_and_every_step_of_the_decoder_agree_with_torch(case: str) -> None:
    with np.load(FIXTURES / f"{case}.npz", allow_pickle=False) as fixture:
        description = json.loads(str(fixture["config"]))
        source, ids = fixture["source"], fixture["ids"]
        encoded, logits = fixture["encoded"], fixture["logits"]
    model = drawn_model(read_config({**description, "source": "drawn"}))
    run = answer(model, source, new_tokens=NEW_TOKENS, batch=SOURCES)
    assert np.array_equal(run.token_ids, ids[:, 1:])
    assert relative_error(run.encoded, encoded) < 1e-5
    assert relative_error(run.logits, logits) < 1e-5
    assert np.abs(np.diff(logits, axis=1)).max() > 0.01 * np.abs(logits).max()
