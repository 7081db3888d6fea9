"""The models that can be named, and everything one of them brings along."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from workloads.architectures.parameters import WeightSource
from workloads.architectures.registry import parameter_count
from workloads.config import ModelConfig, ModelError, nearest
from workloads.descriptions import load_config
from workloads.formats.huggingface import check_folder
from workloads.formats.safetensors import WHOLE
from workloads.formats.tokenizer_json import REMEDY, JsonTokenizer, vocabulary_file
from workloads.packages import GLASSLLM, MINILM, package_file
from workloads.smollm2 import smollm2_tokenizer
from workloads.tokenizer import Tokenizer
from workloads.tokenizers.vocabulary import Vocabulary
from workloads.weights import check_source, weights_of

MODELS_FOLDER = Path(__file__).with_name("models")
DESCRIPTIONS = (".yaml", ".yml", ".json")


@dataclass(frozen=True, kw_only=True)
class Model:
    """A configuration with its weights and, where it has one, its vocabulary."""

    name: str
    config: ModelConfig
    tokenizer: Vocabulary | None
    """None where only the shape of the model is known; such a model has no text."""
    seed: int
    """What seeded weights are drawn from; real weights take no notice."""
    no_text: str = "give a prompt length or token numbers, or use glassllm-en"
    """What to do where there is no vocabulary."""

    @property
    def parameter_count(self) -> int:
        """Weights of all layers together; a tied embedding counts once."""
        return parameter_count(self.config)

    @property
    def weights_source(self) -> str:
        """Where the numbers come from, for people."""
        source, _, what = self.config.weights.partition("/")
        return f"{source} {what}" if what else f"seeded normal, seed {self.seed}"

    def weights(self, config: ModelConfig, dtype: str) -> WeightSource:
        """Return the weights in an element type; `config` may have another context."""
        return weights_of(config, dtype, self.seed)

    def encode(self, text: str) -> list[int]:
        """Token numbers of a text; ModelError where the model has no vocabulary."""
        return self._vocabulary().encode(text)

    def decode(self, ids: Iterable[int]) -> str:
        """Text of token numbers; ModelError where the model has no vocabulary."""
        return self._vocabulary().decode(ids)

    def _vocabulary(self) -> Vocabulary:
        if self.tokenizer is None:
            raise ModelError(
                f"model '{self.name}' has no vocabulary here, so no text; {self.no_text}"
            )
        return self.tokenizer


def model_names() -> tuple[str, ...]:
    """Names that `load_model` knows, sorted."""
    return tuple(sorted(path.stem for path in MODELS_FOLDER.glob("*.yaml")))


def load_model(name: str, *, seed: int = 0) -> Model:
    """Load a model by name, by the path of a YAML file or config.json, or from a folder.

    A folder holds config.json, model.safetensors (or its index and parts) and, to have text,
    tokenizer.json or vocab.txt, as Hugging Face keeps models. ModelError says what is wrong.
    """
    if seed < 0:
        raise ModelError(f"seed is {seed}; give 0 or more")
    path = Path(name)
    if path.is_dir():
        return _of_folder(path, seed)
    if path.suffix not in DESCRIPTIONS:
        if len(path.parts) > 1:
            raise ModelError(f"{name}: no such folder; give one with config.json and {WHOLE}")
        path = MODELS_FOLDER / f"{name}.yaml"
        if name not in model_names():
            raise ModelError(f"no model '{name}'{nearest(name, model_names())}")
    config = load_config(path)
    check_source(config)
    tokenizer, no_text = _packaged_vocabulary(config)
    title = path.parent.name if path.name == "config.json" else path.stem
    return Model(
        name=title or path.stem, config=config, tokenizer=tokenizer, seed=seed, no_text=no_text
    )


def _of_folder(folder: Path, seed: int) -> Model:
    """Load a folder as Hugging Face keeps models."""
    folder = folder.resolve()
    config = load_config(folder / "config.json")
    check_folder(config, folder)
    path = vocabulary_file(folder)
    tokenizer, no_text = None, f"add a tokenizer.json to {folder}"
    if path is not None:
        tokenizer, no_text = _vocabulary_of(path, config)
    return Model(
        name=folder.name,
        config=config.model_copy(update={"weights": f"folder/{folder}"}),
        tokenizer=tokenizer,
        seed=seed,
        no_text=no_text,
    )


def _packaged_vocabulary(config: ModelConfig) -> tuple[Vocabulary | None, str]:
    """Vocabulary of real weights' package, or what to do without it."""
    source, _, what = config.weights.partition("/")
    if source == "glassllm":
        return Tokenizer.load(package_file(GLASSLLM, f"{what}.tokenizer.json")), ""
    if source == "smollm2":
        return smollm2_tokenizer(), ""
    if source == "minilm":
        try:
            path = package_file(MINILM, "tokenizer.json")
        except ModelError as error:
            return None, str(error)
        return _vocabulary_of(path, config)
    return None, Model.no_text


def _vocabulary_of(path: Path, config: ModelConfig) -> tuple[Vocabulary | None, str]:
    """Vocabulary of a file, or what to do where the package that reads it is not installed."""
    if find_spec("tokenizers") is None:
        return None, REMEDY
    return JsonTokenizer.load(path, config.vocab_size), ""
