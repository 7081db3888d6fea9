import json
from pathlib import Path

import numpy as np
import pytest
from compare import stored
from drawn import drawn_model, relative_error
from encoder_cases import CASES, LENGTHS, described, texts
from make_encoders import SENTENCES, answers, oracle, sentence_embeddings

from workloads import encode, load_model, read_config
from workloads.packages import MINILM, package_file


@pytest.mark.parametrize("case", CASES)
def test_an_encoder_agrees_with_transformers_and_so_does_its_saved_folder(
    case: str, tmp_path: Path
) -> None:
    model, description = oracle(case)
    theirs, fixture = answers(model), stored(f"encoders/{case}")
    assert json.loads(str(fixture["config"])) == description
    model.save_pretrained(tmp_path)
    path = tmp_path / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **described(case)}))
    ids, types = texts()
    for ours in (
        drawn_model(read_config({**description, **described(case)})),
        load_model(str(tmp_path)),
    ):
        run = encode(ours, ids, types=types, batch=len(ids))
        for name, numbers in theirs.items():
            assert relative_error(fixture[name], numbers) < 1e-6
            for row, length in enumerate(LENGTHS):
                seen = slice(None) if name == "pooled" else slice(length)
                error = relative_error(getattr(run, name)[row][seen], numbers[row][seen])
                assert error < 1e-5, (name, row)


def test_sentence_embeddings_agree_with_transformers() -> None:
    folder = package_file(MINILM, "model.safetensors", verify=True).parent
    theirs, fixture = sentence_embeddings(folder), stored("sentences")
    assert fixture["texts"].tolist() == list(SENTENCES)
    assert np.abs(fixture["embeddings"] - theirs["embeddings"]).max() < 1e-6
    assert np.array_equal(fixture["ids"], theirs["ids"])
    model = load_model("all-MiniLM-L6-v2")
    rows = [model.encode(text) for text in SENTENCES]
    ours = encode(model, rows, batch=len(rows), sentences=True).sentences
    assert np.abs(ours - theirs["embeddings"]).max() < 1e-5
