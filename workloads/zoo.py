"""The models that can be named, and everything one of them brings along."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from workloads.architectures.registry import parameter_count
from workloads.config import ModelConfig, ModelError, nearest
from workloads.descriptions import load_config
from workloads.g2p import CHECKPOINT, g2p_weights
from workloads.tokenizer import Tokenizer
from workloads.weights import WeightSource, glassllm_file, packaged_weights, seeded_weights

MODELS_FOLDER = Path(__file__).with_name("models")


@dataclass(frozen=True, kw_only=True)
class Model:
    """A configuration with its weights and, where it has one, its vocabulary."""

    name: str
    config: ModelConfig
    tokenizer: Tokenizer | None
    """None where only the shape of the model is known; such a model has no text."""
    seed: int
    """What seeded weights are drawn from; real weights take no notice."""

    @property
    def parameter_count(self) -> int:
        """Weights of all layers together; a tied embedding counts once."""
        return parameter_count(self.config)

    @property
    def weights_source(self) -> str:
        """Where the numbers come from, for people."""
        if self.config.weights == CHECKPOINT:
            return CHECKPOINT
        language = _language(self.config)
        return f"glassllm {language}" if language else f"seeded normal, seed {self.seed}"

    def weights(self, config: ModelConfig, dtype: str) -> WeightSource:
        """Return the weights in an element type; `config` may have another context."""
        if config.weights == CHECKPOINT:
            return g2p_weights(config, dtype)
        language = _language(config)
        if language:
            return packaged_weights(config, dtype, language)
        return seeded_weights(config, dtype, self.seed)

    def encode(self, text: str) -> list[int]:
        """Token numbers of a text; ModelError where the model has no vocabulary."""
        return self._vocabulary().encode(text)

    def decode(self, ids: Iterable[int]) -> str:
        """Text of token numbers; ModelError where the model has no vocabulary."""
        return self._vocabulary().decode(ids)

    def _vocabulary(self) -> Tokenizer:
        if self.tokenizer is None:
            raise ModelError(
                f"model '{self.name}' has no vocabulary here, so no text; "
                f"give a prompt length or token numbers, or use glassllm-en"
            )
        return self.tokenizer


def model_names() -> tuple[str, ...]:
    """Names that `load_model` knows, sorted."""
    return tuple(sorted(path.stem for path in MODELS_FOLDER.glob("*.yaml")))


def load_model(name: str, *, seed: int = 0) -> Model:
    """Load a model by name, or by the path of a YAML file; ModelError where there is none."""
    path = Path(name)
    if path.suffix not in {".yaml", ".yml"}:
        path = MODELS_FOLDER / f"{name}.yaml"
        if name not in model_names():
            raise ModelError(f"no model '{name}'{nearest(name, model_names())}")
    if seed < 0:
        raise ModelError(f"seed is {seed}; give 0 or more")
    config = load_config(path)
    language = _language(config)
    tokenizer = Tokenizer.load(glassllm_file(f"{language}.tokenizer.json")) if language else None
    return Model(name=path.stem, config=config, tokenizer=tokenizer, seed=seed)


def _language(config: ModelConfig) -> str | None:
    """Language of glassllm's weights; None where the weights are seeded."""
    package, _, language = config.weights.partition("/")
    return language if package == "glassllm" else None
