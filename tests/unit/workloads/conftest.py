from collections.abc import Callable

import glassllm
import numpy as np
import pytest

from workloads import Array, Model, Role, Tracer, load_model, read_config


@pytest.fixture(scope="session")
def english() -> Model:
    return load_model("glassllm-en")


@pytest.fixture(scope="session")
def oracle() -> tuple[glassllm.GlassLM, glassllm.Tokenizer]:
    return glassllm.load_pretrained("en")


def tiny(**changes: object) -> Model:
    config = {
        "source": "made up",
        "model_type": "gpt2",
        "hidden_size": 12,
        "num_hidden_layers": 3,
        "num_attention_heads": 3,
        "num_key_value_heads": 3,
        "intermediate_size": 20,
        "vocab_size": 50,
        "max_position_embeddings": 16,
        "hidden_act": "gelu_new",
        "layer_norm_epsilon": 1e-5,
        "tie_word_embeddings": True,
    }
    return Model(
        name="tiny",
        config=read_config({k: v for k, v in (config | changes).items() if v is not None}),
        tokenizer=None,
        seed=1,
    )


@pytest.fixture
def tiny_gpt2() -> Model:
    return tiny()


@pytest.fixture
def tiny_llama() -> Model:
    return tiny(
        model_type="llama",
        hidden_size=16,
        num_attention_heads=4,
        num_key_value_heads=2,
        hidden_act="silu",
        layer_norm_epsilon=None,
        rms_norm_eps=1e-5,
        rope_theta=1e4,
        tie_word_embeddings=False,
    )


@pytest.fixture
def tracer() -> Tracer:
    return Tracer(model="test", dtype="float64", execute=True)


@pytest.fixture
def given(tracer: Tracer) -> Callable[..., Array]:
    """Declares an array of normal numbers, or of those given."""
    random = np.random.default_rng(0)

    def declare(name: str, *shape: int, values: object = None, dtype: str = "float64") -> Array:
        numbers = random.standard_normal(shape) if values is None else np.asarray(values, dtype)
        tracer.declare(name, Role.WEIGHT, numbers.shape, dtype=dtype, values=lambda _: numbers)
        return tracer.get(name)

    return declare
