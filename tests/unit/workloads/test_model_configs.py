import re
from pathlib import Path

import numpy as np
import pytest

from workloads import Model, ModelError, load_config, load_model, model_names
from workloads.config import check_dtype
from workloads.weights import packaged_weights, seeded_weights
from workloads.zoo import MODELS_FOLDER


def test_every_model_names_its_source() -> None:
    assert all(load_model(name).config.source for name in model_names())


def test_a_model_can_be_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text((MODELS_FOLDER / "gpt2-small.yaml").read_text())
    model = load_model(str(path))
    assert (model.name, model.parameter_count) == ("mine", 124_439_808)


def edited(tmp_path: Path, name: str, pattern: str, replacement: str) -> Path:
    text = (MODELS_FOLDER / f"{name}.yaml").read_text()
    assert re.search(pattern, text, re.MULTILINE)
    path = tmp_path / "edited.yaml"
    path.write_text(re.sub(pattern, replacement, text, flags=re.MULTILINE))
    return path


@pytest.mark.parametrize(
    ("name", "pattern", "replacement", "message"),
    [
        ("gpt2-small", "hidden_size", "hiden_size", "'hiden_size'; did you mean 'hidden_size'"),
        ("gpt2-small", "^torch_dtype", "zzz", "unknown key 'zzz'; valid: .*hidden_size"),
        ("gpt2-small", "^vocab_size.*\n", "", "key 'vocab_size' is missing; add it"),
        ("gpt2-small", "^vocab_size", "hidden_size: 5\nvocab_size", "'hidden_size' is given twice"),
        ("gpt2-small", "50257", "many", "key 'vocab_size': .*valid integer.*got 'many'"),
        ("gpt2-small", "50257", "0", "key 'vocab_size': .*greater than 0"),
        ("gpt2-small", "gpt2$", "gpt_2", "unknown model_type 'gpt_2'; did you mean 'gpt2'"),
        ("gpt2-small", "gelu_new", "tanh", "key 'activation': .*'silu', 'gelu'.*got 'tanh'"),
        ("llama2-7b", "^rms_norm_eps.*\n", "", "key 'rms_norm_eps' is missing; add it"),
        ("gpt2-small", "^weights", "rope_theta: 1.0\nweights", "unknown key 'rope_theta'; valid"),
        ("gpt2-small", "heads: 12", "heads: 7", "must be a multiple of num_attention_heads"),
        ("llama2-7b", "value_heads: 32", "value_heads: 5", "multiple of num_key_value_heads"),
        ("llama2-7b", "hidden_size: 4096", "hidden_size: 32", "must be even for rotary"),
        ("gpt2-small", "seeded", "magic", "key 'weights': .*seeded.*got 'magic'"),
        ("gpt2-small", "(?s)^.*$", "- a list", "must hold keys"),
        ("gpt2-small", "^model_type:", "model_type: [", "not valid YAML"),
    ],
)
def test_a_wrong_file_is_named_with_its_key(
    tmp_path: Path, name: str, pattern: str, replacement: str, message: str
) -> None:
    path = edited(tmp_path, name, pattern, replacement)
    with pytest.raises(ModelError, match=message) as error:
        load_config(path)
    assert str(error.value).startswith(f"{path}: ")
    assert "\n" not in str(error.value)


def test_an_unknown_model_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no model 'gpt2-smal'; did you mean 'gpt2-small'"):
        load_model("gpt2-smal")
    with pytest.raises(ModelError, match=r"no model '\?'; valid: .*glassllm-en, .*gpt2-xl"):
        load_model("?")
    with pytest.raises(ModelError, match=r"none.yaml: cannot be read \(No such file"):
        load_model(str(tmp_path / "none.yaml"))
    with pytest.raises(ModelError, match="seed is -1"):
        load_model("gpt2-small", seed=-1)


def test_an_unknown_element_type_names_the_nearest() -> None:
    with pytest.raises(ModelError, match="unknown dtype 'float23'; did you mean 'float32'"):
        check_dtype("float23")


def test_seeded_weights_are_normal_and_repeat_whatever_the_order() -> None:
    config = load_model("gpt2-small").config
    first, second = (seeded_weights(config, "float32", 7) for _ in range(2))
    second("mlp.up.weight", 3)
    weight = first("attention.query.weight", 5)
    assert np.array_equal(weight, second("attention.query.weight", 5))
    assert not np.array_equal(weight, first("attention.query.weight", 6))
    assert not np.array_equal(weight, seeded_weights(config, "float32", 8)("mlp.up.weight", 5))
    assert abs(weight.std() - 0.02) < 1e-4
    assert (first("mlp.norm.weight", 0) == 1).all()
    assert (first("mlp.up.bias", 0) == 0).all()


def test_real_weights_that_do_not_fit_the_shapes_are_refused(english: Model) -> None:
    config = english.config.model_copy(update={"intermediate_size": 340})
    with pytest.raises(ModelError, match=r"\[128, 341\] for mlp.up.weight.*\[128, 340\]"):
        packaged_weights(config, "float32", "en")
