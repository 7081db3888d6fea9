"""Folders that transformers writes, of every family whose names of tensors are known here."""

from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from compare import answers, build
from decoder_cases import CASES, TOKENS
from drawn import relative_error
from torch import nn

from workloads import generate, load_model
from workloads.descriptions.read import READERS
from workloads.formats.huggingface_names import NAMES

READ = {
    case: (config, given)
    for case, (family, given) in CASES.items()
    if (config := getattr(transformers, f"{family}Config")).model_type in READERS
}


def written(case: str, folder: Path, **options: str) -> nn.Module:
    """Save a model whose weights, biases too, are drawn by torch; return it."""
    config, given = READ[case]
    torch.manual_seed(0)
    model = build(transformers.AutoModelForCausalLM, config(**given, **TOKENS))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0.5 if parameter.ndim == 1 else 0.0, 0.3)
    model.save_pretrained(folder, **options)
    return model


@pytest.mark.parametrize("case", READ)
def test_a_saved_decoder_is_loaded_and_agrees_with_transformers(case: str, tmp_path: Path) -> None:
    theirs = written(case, tmp_path)
    model = load_model(str(tmp_path))
    run = generate(model, [[3, 1, 4, 1, 5]] * 2, new_tokens=3, batch=2)
    ids = np.concatenate([run.prompt_ids, run.token_ids], axis=1)
    assert relative_error(run.logits, answers(theirs, ids, 5)) < 1e-5


def test_a_checkpoint_cut_into_parts_is_the_same_model(tmp_path: Path) -> None:
    written("llama", tmp_path / "whole")
    written("llama", tmp_path / "parts", max_shard_size="2KB")
    assert len(list((tmp_path / "parts").glob("*.safetensors"))) > 2
    whole, parts = (
        generate(load_model(str(tmp_path / name)), [1, 2, 3], new_tokens=2)
        for name in ("whole", "parts")
    )
    assert np.array_equal(whole.logits, parts.logits)


def test_a_checkpoint_in_bfloat16_runs_in_float32_as_it_is(tmp_path: Path) -> None:
    theirs = written("llama", tmp_path / "single").bfloat16()
    theirs.save_pretrained(tmp_path / "half")
    model = load_model(str(tmp_path / "half"))
    assert model.config.torch_dtype == "bfloat16"
    run = generate(model, [3, 1, 4], new_tokens=3, dtype="float32")
    ids = np.concatenate([run.prompt_ids, run.token_ids], axis=1)
    assert relative_error(run.logits, answers(theirs.float(), ids, 3)) < 1e-5


def test_every_family_with_names_has_a_reader_and_a_case() -> None:
    decoders = {config.model_type for config, _ in READ.values()}
    assert decoders | {"bert", "ernie"} == set(NAMES) & set(READERS)
