"""g2p-en's real weights: phonemes as its own code gives them, and files that are refused."""

import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from workloads import Model, ModelError, load_model
from workloads.g2p import g2p_weights
from workloads.packages import G2P, package_file
from workloads.pronounce import LETTERS, PHONEMES, pronounce, spell

FIXTURE = Path(__file__).parents[2] / "fixtures" / "recurrent" / "pronunciations.json"
SAID = json.loads(FIXTURE.read_text(encoding="utf-8"))

installed = pytest.mark.skipif(
    find_spec("g2p_en") is None, reason="needs pip install --no-deps g2p-en==2.1.0"
)


@pytest.fixture(scope="module", name="model")
def model_fixture() -> Model:
    return load_model("g2p-en")


@pytest.fixture(scope="module", name="stored")
def stored_fixture() -> dict[str, np.ndarray]:
    with np.load(package_file(G2P, "checkpoint20.npz"), allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def test_letters_and_phonemes_are_as_many_as_the_model_has(model: Model) -> None:
    assert (len(LETTERS), len(PHONEMES)) == (29, 74)
    assert (model.config.source_vocab_size, model.config.vocab_size) == (29, 74)
    assert (LETTERS[2], PHONEMES[2], PHONEMES[3], PHONEMES[73]) == ("</s>", "<s>", "</s>", "ZH")
    assert spell("Ab-z") == [3, 4, 1, 28]


@installed
@pytest.mark.parametrize("word", SAID)
def test_a_word_is_said_as_the_published_model_says_it(model: Model, word: str) -> None:
    assert pronounce(model, word) == SAID[word]


@installed
def test_hello_is_said_as_people_say_it(model: Model) -> None:
    assert pronounce(model, "hello") == ["HH", "EH1", "L", "OW0"]


@installed
def test_the_files_weights_are_all_used_and_none_else(
    model: Model, stored: dict[str, np.ndarray]
) -> None:
    assert sum(values.size for values in stored.values()) == model.parameter_count == 834_890
    assert model.weights_source == "g2p-en checkpoint20"


def test_an_empty_word_or_another_model_cannot_be_pronounced(model: Model) -> None:
    with pytest.raises(ModelError, match="the prompt is empty"):
        pronounce(model, "")
    with pytest.raises(ModelError, match="rnn-tanh-wlm does not turn letters into phonemes"):
        pronounce(load_model("rnn-tanh-wlm"), "hello")


@installed
@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("fc_w", None, r"holds nothing for head.weight.*\[256, 74\]"),
        ("fc_w", "T", r"\[74, 256\] for head.weight, the configuration says \[256, 74\]"),
        ("enc_emb", "int64", "token.weight is int64, not floating"),
        ("enc_emb", "object", "not a readable npz file"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(
    tmp_path: Path, stored: dict[str, np.ndarray], name: str, change: str | None, message: str
) -> None:
    changed = {k: v for k, v in stored.items() if k != name}
    if change is not None:
        changed[name] = stored[name].T if change == "T" else stored[name].astype(change)
    path = tmp_path / "changed.npz"
    np.savez(path, **changed)
    with pytest.raises(ModelError, match=message) as error:
        g2p_weights(load_model("g2p-en").config, "float32", path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


@installed
@pytest.mark.parametrize("keep", [0, 1000, 3_000_000])
def test_a_truncated_file_is_refused(model: Model, tmp_path: Path, keep: int) -> None:
    path = tmp_path / "short.npz"
    path.write_bytes(package_file(G2P, "checkpoint20.npz").read_bytes()[:keep])
    with pytest.raises(ModelError, match=r"short.npz: not a readable npz file") as error:
        g2p_weights(model.config, "float32", path)
    assert "\n" not in str(error.value)


@installed
def test_a_damaged_file_is_refused(model: Model, tmp_path: Path) -> None:
    content = bytearray(package_file(G2P, "checkpoint20.npz").read_bytes())
    content[len(content) // 2] ^= 0xFF
    path = tmp_path / "damaged.npz"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"damaged.npz: not a readable npz file \(Bad CRC"):
        g2p_weights(model.config, "float32", path)


def test_a_missing_package_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workloads.packages.find_spec", lambda _: None)
    with pytest.raises(
        ModelError,
        match=r"g2p-en==2.1.0 is not .*; make models, or pip install",
    ):
        pronounce(load_model("g2p-en"), "hello")
