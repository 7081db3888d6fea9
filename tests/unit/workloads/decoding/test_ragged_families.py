"""Every family answers a batch of ragged lengths as it answers each prompt alone."""

import json
from pathlib import Path

import numpy as np
import pytest
from drawn import drawn_model

from workloads import generate, read_config
from workloads.decoding.ragged import answer_batch

FIXTURES = Path(__file__).parents[3] / "fixtures"
CASES = sorted(path for kind in ("decoders", "experts") for path in (FIXTURES / kind).glob("*.npz"))
PROMPTS = [[3, 1, 4, 1, 5], [6, 2], [5, 3, 5, 8]]


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_padding_changes_no_familys_numbers(path: Path) -> None:
    with np.load(path) as file:
        model = drawn_model(read_config({**json.loads(str(file["config"])), "source": "drawn"}))
    together = answer_batch(model, PROMPTS, new_tokens=3, dtype="float64").generation
    for row, prompt in enumerate(PROMPTS):
        alone = generate(model, prompt, new_tokens=3, dtype="float64")
        assert np.abs(together.logits[row] - alone.logits[0]).max() < 1e-11


def test_there_is_a_case_of_every_kind_of_attention() -> None:
    assert {"gpt2", "bloom", "mistral", "deepseek", "mixtral"} <= {path.stem for path in CASES}
