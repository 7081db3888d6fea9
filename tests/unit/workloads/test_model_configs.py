import re
from pathlib import Path

import numpy as np
import pytest

from workloads import Model, ModelError, load_config, load_model, model_names
from workloads.config import check_dtype
from workloads.weights import packaged_weights, seeded_weights
from workloads.zoo import MODELS_FOLDER

PARAMETERS = {  # counted by building each published class on torch's meta device
    "glassllm-en": 852_608,
    "gpt2-large": 774_030_080,
    "gpt2-medium": 354_823_168,
    "gpt2-small": 124_439_808,
    "gpt2-xl": 1_557_611_200,
    "gpt3-175b": 174_604_259_328,
    "llama2-13b": 13_015_864_320,
    "llama2-70b": 68_976_648_192,
    "llama2-7b": 6_738_415_616,
    "llama3-70b": 70_553_706_496,
    "llama3-8b": 8_030_261_248,
    "smollm2-135m": 134_515_008,
    "t5-11b": 11_307_321_344,
    "t5-3b": 2_851_598_336,
    "t5-base": 222_903_552,
    "t5-large": 737_668_096,
    "t5-small": 60_506_624,
    "tinyllama-1.1b": 1_100_048_384,
    "transformer-base": 63_045_632,
    "transformer-big": 214_171_648,
    "whisper-tiny.en": 37_760_256,
}


def test_every_model_of_the_zoo_has_its_published_parameter_count() -> None:
    assert {name: load_model(name).parameter_count for name in model_names()} == PARAMETERS


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
        ("gpt2-small", "gpt2$", "gpt3", "unknown model_type 'gpt3'; did you mean 'gpt2'"),
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
    with pytest.raises(ModelError, match=r"no model '\?'; valid: glassllm-en, gpt2-large"):
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
