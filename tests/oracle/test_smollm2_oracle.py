import numpy as np
from make_smollm2 import FIXTURE, NEW_TOKENS, PROMPT, answers

from workloads import generate, load_model


def test_smollm2_goes_on_as_transformers_does_and_the_fixture_holds_that() -> None:
    theirs = answers()
    with np.load(FIXTURE, allow_pickle=False) as stored:
        for name, values in theirs.items():
            np.testing.assert_allclose(stored[name], values, rtol=1e-5, atol=1e-4)
    model = load_model("smollm2-135m-instruct")
    run = generate(model, model.encode(PROMPT), new_tokens=NEW_TOKENS, max_context=64)
    assert run.token_ids[0].tolist() == theirs["ids"].tolist()
