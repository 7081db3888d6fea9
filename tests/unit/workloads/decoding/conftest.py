import pytest

from workloads import Model, read_config


def tiny(name: str = "tiny", *, seed: int = 1, **changes: object) -> Model:
    """A small Llama, or with changes another one."""
    config = {
        "source": "made up",
        "model_type": "llama",
        "hidden_size": 16,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "intermediate_size": 20,
        "vocab_size": 50,
        "max_position_embeddings": 48,
        "hidden_act": "silu",
        "rms_norm_eps": 1e-5,
        "rope_theta": 1e4,
        "tie_word_embeddings": True,
    }
    if changes.get("model_type") == "gpt2":
        config |= {"rms_norm_eps": None, "rope_theta": None, "hidden_act": "gelu_new"}
        config |= {"layer_norm_epsilon": 1e-5, "num_key_value_heads": 4}
    merged = {k: v for k, v in (config | changes).items() if v is not None}
    return Model(name=name, config=read_config(merged), tokenizer=None, seed=seed)


def changed(model: Model, **words: object) -> Model:
    """The same model with other words of its configuration."""
    config = type(model.config).model_validate(model.config.model_dump() | words)
    return Model(name=model.name, config=config, tokenizer=None, seed=model.seed)


@pytest.fixture
def llama() -> Model:
    return tiny()


@pytest.fixture
def gpt2() -> Model:
    return tiny(model_type="gpt2")


@pytest.fixture
def windowed(llama: Model) -> Model:
    return changed(llama, sliding_window=4, sliding_layers="even")


@pytest.fixture
def alibi(gpt2: Model) -> Model:
    return changed(gpt2, positions="alibi", attention_softcap=2.0)


@pytest.fixture
def draft() -> Model:
    """A smaller model of the same vocabulary; its layers and width differ."""
    return tiny("draft", seed=2, num_hidden_layers=2, hidden_size=8, num_attention_heads=2)
