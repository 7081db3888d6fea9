"""Every family, in every phase of decoding, gives the numbers of a plain run."""

import json
from pathlib import Path

import numpy as np
import pytest
from drawn import DrawnModel, drawn_model

from workloads import generate, read_config
from workloads.array import Values
from workloads.decoding.answer import sample
from workloads.decoding.beam import search
from workloads.decoding.prefix import PrefixCache
from workloads.decoding.ragged import answer_batch
from workloads.decoding.speculative import speculate

FIXTURES = Path(__file__).parents[3] / "fixtures"
CASES = sorted(path for kind in ("decoders", "experts") for path in (FIXTURES / kind).glob("*.npz"))
PROMPTS = [[3, 1, 4, 1, 5], [6, 2], [5, 3, 5, 8]]
NEW_TOKENS = 3


@pytest.fixture(params=CASES, ids=lambda path: path.stem, scope="module")
def model(request: pytest.FixtureRequest) -> DrawnModel:
    with np.load(request.param) as file:
        config = read_config({**json.loads(str(file["config"])), "source": "drawn"})
    return drawn_model(config, request.param.stem)


def plain(model: DrawnModel, prompt: list[int]) -> tuple[Values, Values]:
    """Logits and tokens of one prompt."""
    run = generate(model, prompt, new_tokens=NEW_TOKENS, dtype="float64")
    return run.logits[0], run.token_ids[0]


def test_padding_changes_no_familys_numbers(model: DrawnModel) -> None:
    together = answer_batch(model, PROMPTS, new_tokens=NEW_TOKENS, dtype="float64").generation
    for row, prompt in enumerate(PROMPTS):
        assert np.abs(together.logits[row] - plain(model, prompt)[0]).max() < 1e-11


def test_a_prompt_in_pieces_and_a_kept_prefix_give_the_same(model: DrawnModel) -> None:
    prompt, expected = PROMPTS[0], plain(model, PROMPTS[0])[0]
    asked = {"new_tokens": NEW_TOKENS, "dtype": "float64"}
    assert np.abs(sample(model, prompt, chunk_tokens=2, **asked).logits - expected).max() < 1e-11
    cache = PrefixCache(model, dtype="float64")
    cache.answer(prompt[:3], new_tokens=1)
    again = cache.answer(prompt, new_tokens=NEW_TOKENS)
    assert np.abs(again.generation.logits - expected).max() < 1e-11


def test_one_beam_and_a_draft_choose_the_same_tokens(model: DrawnModel) -> None:
    prompt, tokens = PROMPTS[0], plain(model, PROMPTS[0])[1].tolist()
    asked = {"new_tokens": NEW_TOKENS, "dtype": "float64"}
    assert (
        search(model, prompt, beams=1, **asked).token_ids.ravel()[-NEW_TOKENS:].tolist() == tokens
    )
    drafted = speculate(model, model, prompt, **asked)
    assert drafted.token_ids.ravel()[:NEW_TOKENS].tolist() == tokens


def test_there_is_a_case_of_every_kind_of_attention() -> None:
    assert {"gpt2", "bloom", "mistral", "deepseek", "mixtral"} <= {path.stem for path in CASES}
