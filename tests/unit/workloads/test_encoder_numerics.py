"""Encoders against what transformers answered, kept in tests/fixtures/encoders."""

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from drawn import DrawnModel, drawn_model, relative_error
from encoder_cases import CASES, LENGTHS, described, texts

from workloads import Encoding, encode, read_config
from workloads.array import Values

FIXTURES = Path(__file__).parents[2] / "fixtures" / "encoders"
IDS, TYPES = texts()


class Case(NamedTuple):
    model: DrawnModel
    answers: dict[str, Values]


@pytest.fixture(params=sorted(CASES))
def case(request: pytest.FixtureRequest) -> Case:
    with np.load(FIXTURES / f"{request.param}.npz", allow_pickle=False) as file:
        answers = {key: file[key] for key in file.files}
    config = read_config({**json.loads(str(answers.pop("config"))), **described(request.param)})
    return Case(drawn_model(config, request.param), answers)


def row(run: Encoding, name: str, number: int) -> Values:
    """What a text's tokens, or the text, came to; padding left out."""
    values = getattr(run, name)[number]
    return values if name == "pooled" else values[: run.lengths[number]]


def test_texts_of_different_lengths_agree_with_transformers(case: Case) -> None:
    run = encode(case.model, IDS, types=TYPES, batch=len(IDS))
    assert case.answers
    for name, numbers in case.answers.items():
        for number, length in enumerate(LENGTHS):
            theirs = numbers[number] if name == "pooled" else numbers[number][:length]
            assert relative_error(row(run, name, number), theirs) < 1e-5  # float32 on both sides


def test_a_padded_batch_equals_each_text_alone_in_float64(case: Case) -> None:
    asked = {"dtype": "float64", "sentences": True}
    together = encode(case.model, IDS, types=TYPES, batch=len(IDS), **asked)
    for number, (ids, types) in enumerate(zip(IDS, TYPES, strict=True)):
        alone = encode(case.model, ids, types=types, **asked)
        for name in ("hidden", *case.answers):
            assert np.abs(row(together, name, number) - row(alone, name, 0)).max() < 1e-12
        assert np.abs(together.sentences[number] - alone.sentences[0]).max() < 1e-12


def test_a_shape_alone_gives_the_digest_of_the_executed_pass(case: Case) -> None:
    for lengths in ((5,), (5, 5), (3, 7, 1)):
        asked = {"tokens": lengths, "batch": len(lengths), "sentences": True}
        executed = encode(case.model, **asked).trace
        shaped = encode(case.model, **asked, execute=False)
        assert shaped.trace == executed
        assert shaped.trace.digest() == executed.digest()
        assert shaped.hidden is shaped.pooled is shaped.logits is shaped.sentences is None
