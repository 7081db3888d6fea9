"""Parameter counts and written configurations, against transformers' own classes."""

import pytest
import torch
import transformers
import yaml
from compare import FIXTURES
from decoder_cases import CASES

from workloads import load_config, load_model, parameter_count
from workloads.architectures.decoder_config import DecoderConfig
from workloads.zoo import MODELS_FOLDER

FAMILIES = sorted({family for family, _ in CASES.values()})
ZOO = sorted(
    path.stem
    for path in MODELS_FOLDER.glob("*.yaml")
    if isinstance(load_config(path), DecoderConfig) and path.stem != "glassllm-en"
)


def counted(config: transformers.PretrainedConfig) -> int:
    """Parameters of a model built without memory."""
    with torch.device("meta"):
        model = transformers.AutoModelForCausalLM.from_config(config)
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize("family", FAMILIES)
def test_the_written_defaults_are_those_of_the_class(family: str) -> None:
    config = getattr(transformers, f"{family}Config")()
    path = FIXTURES / "configs" / f"{config.model_type}.json"
    assert path.read_text() == config.to_json_string(use_diff=False)
    assert parameter_count(load_config(path)) == counted(config)


@pytest.mark.parametrize("name", ZOO)
def test_the_keys_of_a_zoo_file_mean_to_transformers_what_they_mean_here(name: str) -> None:
    keys = yaml.safe_load((MODELS_FOLDER / f"{name}.yaml").read_text())
    for ours in ("source", "weights"):
        del keys[ours]
    config = transformers.AutoConfig.for_model(**keys)
    assert counted(config) == load_model(name).parameter_count
