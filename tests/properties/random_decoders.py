"""Random small decoders over all that `DecoderConfig` can say."""

from typing import Any

from hypothesis import strategies as st

from workloads import Model
from workloads.architectures.decoder_config import DecoderConfig
from workloads.architectures.rotary import RopeScaling

small = st.integers(1, 3)

requests = st.fixed_dictionaries(
    {
        "prompt_tokens": st.integers(1, 6),
        "new_tokens": st.integers(1, 4),
        "batch": small,
        "temperature": st.sampled_from([None, 1.0]),
    }
)

scalings = st.sampled_from(
    [
        None,
        RopeScaling(kind="linear", factor=2.0),
        RopeScaling(kind="llama3", factor=8.0, original_context=8),
    ]
)


@st.composite
def models(draw: Any) -> Model:
    """Return a model with seeded weights; every switch is drawn."""
    return Model(name="random", config=draw(configs()), tokenizer=None, seed=0)


@st.composite
def configs(draw: Any) -> DecoderConfig:
    parallel = draw(st.sampled_from(["none", "none", "own_norms", "one_norm"]))
    norm = draw(st.sampled_from(["rmsnorm", "layernorm"]))
    kv_heads = draw(small)
    return DecoderConfig(
        source="random",
        model_type="random",
        vocab_size=draw(st.integers(2, 9)),
        hidden_size=draw(st.integers(1, 9)),
        num_hidden_layers=draw(st.integers(1, 4)),
        max_position_embeddings=16,
        num_attention_heads=kv_heads * draw(small),
        num_key_value_heads=kv_heads,
        intermediate_size=draw(st.integers(1, 9)),
        tie_word_embeddings=draw(st.booleans()),
        head_bias=draw(st.booleans()),
        activation=draw(st.sampled_from(["silu", "gelu", "gelu_new", "relu"])),
        gated=draw(st.booleans()),
        mlp_bias=draw(st.booleans()),
        qkv_bias=draw(st.booleans()),
        attention_output_bias=draw(st.booleans()),
        norm=norm,
        norm_eps=1e-5,
        norm_offset=norm == "rmsnorm" and draw(st.booleans()),
        norm_after=parallel == "none" and draw(st.booleans()),
        parallel=parallel,
        embedding_norm=draw(st.booleans()),
        embedding_scale=draw(st.sampled_from([None, 3.0])),
        attention_scale=draw(st.sampled_from([None, 0.7])),
        attention_softcap=draw(st.sampled_from([None, 2.0])),
        logit_softcap=draw(st.sampled_from([None, 2.0])),
        sliding_window=draw(st.sampled_from([None, 1, 2, 4])),
        sliding_layers=draw(st.sampled_from(["all", "even", "odd"])),
        **draw(positions()),
    )


@st.composite
def positions(draw: Any) -> dict[str, Any]:
    kind = draw(st.sampled_from(["rotary", "learned", "alibi"]))
    if kind != "rotary":
        offset = draw(st.integers(0, 2)) if kind == "learned" else 0
        return {"positions": kind, "head_dim": draw(st.integers(1, 5)), "position_offset": offset}
    pairs = draw(small)
    return {
        "positions": kind,
        "head_dim": 2 * (pairs + draw(st.integers(0, 2))),
        "rope_dims": 2 * pairs,
        "rope_interleaved": draw(st.booleans()),
        "rope_scaling": draw(scalings),
    }
