import json
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from drawn import all_weights, drawn_model
from encoder_names import torch_state
from safetensors_cases import write_tensors

from workloads import Model, ModelError, encode, generate, load_model, read_config
from workloads.array import Values
from workloads.formats.huggingface import folder_weights

ENCODER = {
    "model_type": "bert",
    "hidden_size": 8,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 12,
    "vocab_size": 20,
    "max_position_embeddings": 16,
}
DECODER = {**ENCODER, "num_key_value_heads": 2, "tie_word_embeddings": False}
GPT2 = {**DECODER, "model_type": "gpt2"}
LLAMA = {**DECODER, "model_type": "llama", "num_key_value_heads": 1, "rms_norm_eps": 1e-5}
QKV = ("attention.query", "attention.key", "attention.value")

needs_tokenizers = pytest.mark.skipif(
    find_spec("tokenizers") is None, reason="the package tokenizers is missing: make models"
)


def drawn(config: dict[str, Any]) -> Model:
    return drawn_model(read_config({**config, "source": "drawn"}))


def same(ours: Values, theirs: Values) -> bool:
    """Whether numbers in float64 agree to rounding."""
    return float(np.abs(ours - theirs).max()) < 1e-12


def write(folder: Path, config: dict[str, Any], tensors: dict[str, Values]) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    write_tensors(folder / "model.safetensors", tensors)
    return folder


def bert_tensors(prefix: str = "") -> dict[str, Values]:
    return torch_state(all_weights(drawn(ENCODER).config), prefix=prefix)


@pytest.fixture
def bert(tmp_path: Path) -> Path:
    return write(tmp_path / "mine", ENCODER, bert_tensors())


def old_norms(tensors: dict[str, Values]) -> dict[str, Values]:
    """Spell LayerNorms as the first checkpoints do."""
    new = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}
    return {
        next((name.replace(a, b) for a, b in new.items() if a in name), name): values
        for name, values in tensors.items()
    }


@pytest.mark.parametrize(
    "tensors",
    [
        bert_tensors(),
        bert_tensors("bert."),
        old_norms(bert_tensors("bert.")),
        bert_tensors() | {"embeddings.position_ids": np.arange(16)[None]},
        bert_tensors("bert.") | {"cls.predictions.bias": np.zeros(20, np.float32)},
    ],
    ids=["plain", "prefixed", "gamma and beta", "with a buffer", "with a head not used"],
)
def test_a_bert_folder_runs_as_the_weights_it_holds(
    tmp_path: Path, tensors: dict[str, Values]
) -> None:
    model = load_model(str(write(tmp_path / "mine", ENCODER, tensors)))
    ours, expected = (
        encode(m, [3, 1, 4], types=[0, 1, 1], dtype="float64") for m in (model, drawn(ENCODER))
    )
    assert same(ours.hidden, expected.hidden)
    assert same(ours.pooled, expected.pooled)
    assert (model.name, model.config.source) == ("mine", str(tmp_path / "mine" / "config.json"))


def decoder_tensors(config: dict[str, Any], names: Callable[[str], str]) -> dict[str, Values]:
    """Tensors of a decoder, products [n, k]; `names` says ours -> theirs without the last word."""
    found = {}
    for (name, layer), values in all_weights(drawn(config).config).items():
        stem, _, last = name.rpartition(".")
        product = values.ndim == 2 and not stem.startswith("embedding")
        found[f"{names(stem)}.{last}".replace(".N.", f".{layer}.")] = (
            values.T if product else values
        )
    return found


def llama_name(stem: str) -> str:
    words = {
        "embedding.token": "model.embed_tokens",
        "norm": "model.norm",
        "head": "lm_head",
        "attention.norm": "model.layers.N.input_layernorm",
        "mlp.norm": "model.layers.N.post_attention_layernorm",
    }
    half, _, part = stem.partition(".")
    letters = {"query": "q", "key": "k", "value": "v", "output": "o"}
    of_layer = f"self_attn.{letters[part]}_proj" if part in letters else f"{half}.{part}_proj"
    return words.get(stem, f"model.layers.N.{of_layer}")


def test_a_llama_folder_runs_as_the_weights_it_holds(tmp_path: Path) -> None:
    write(tmp_path, LLAMA, decoder_tensors(LLAMA, llama_name))
    ours, expected = (
        generate(model, [3, 1, 4], new_tokens=3, dtype="float64")
        for model in (load_model(str(tmp_path)), drawn(LLAMA))
    )
    assert same(ours.logits, expected.logits)
    assert ours.trace.blocks == expected.trace.blocks


def gpt2_tensors() -> dict[str, Values]:
    """GPT-2's own: products [k, n], q, k and v end to end, and no prefix."""
    names = {
        "embedding.token": "wte",
        "embedding.position": "wpe",
        "norm": "ln_f",
        "attention.norm": "h.N.ln_1",
        "attention.output": "h.N.attn.c_proj",
        "mlp.norm": "h.N.ln_2",
        "mlp.up": "h.N.mlp.c_fc",
        "mlp.down": "h.N.mlp.c_proj",
    }
    weights = all_weights(drawn(GPT2).config)
    found = {"lm_head.weight": weights["head.weight", None].T}
    for (name, layer), values in weights.items():
        stem, _, last = name.rpartition(".")
        if stem in names:
            found[f"{names[stem]}.{last}".replace("h.N.", f"h.{layer}.")] = values
        elif stem == QKV[0]:
            parts = [weights[f"{one}.{last}", layer] for one in QKV]
            found[f"h.{layer}.attn.c_attn.{last}"] = np.concatenate(parts, axis=-1)
    return found | {"h.0.attn.bias": np.ones((1, 1, 16, 16), np.uint8)}


def test_a_gpt2_folder_is_taken_apart(tmp_path: Path) -> None:
    write(tmp_path, GPT2, gpt2_tensors())
    ours, expected = (
        generate(model, [3, 1, 4], new_tokens=3, dtype="float64")
        for model in (load_model(str(tmp_path)), drawn(GPT2))
    )
    assert same(ours.logits, expected.logits)


def test_what_is_fused_head_by_head_is_taken_apart(tmp_path: Path) -> None:
    config = read_config({**GPT2, "source": "drawn"}).model_copy(update={"model_type": "bloom"})
    stacked = np.arange(2 * 3 * 4, dtype=np.float32)  # 2 heads of q, k, v of 4
    weight = stacked[:, None] + np.arange(8, dtype=np.float32) / 100  # [n, k]
    name = "transformer.h.1.self_attention.query_key_value"
    write_tensors(
        tmp_path / "model.safetensors", {f"{name}.weight": weight, f"{name}.bias": stacked}
    )
    source = folder_weights(config, "float32", tmp_path)
    assert source("attention.query.bias", 1).tolist() == [0, 1, 2, 3, 12, 13, 14, 15]
    assert source("attention.key.bias", 1).tolist() == [4, 5, 6, 7, 16, 17, 18, 19]
    assert source("attention.value.bias", 1).tolist() == [8, 9, 10, 11, 20, 21, 22, 23]
    key = source("attention.key.weight", 1)
    assert key.shape == (8, 8)
    assert np.array_equal(key[3], source("attention.key.bias", 1) + np.float32(0.03))


def test_a_smaller_context_takes_the_first_positions_and_a_larger_one_is_refused(
    bert: Path,
) -> None:
    model = load_model(str(bert))
    whole, cut = (
        encode(model, [3, 1, 4], max_context=context, dtype="float64") for context in (None, 3)
    )
    assert same(whole.hidden, cut.hidden)
    with pytest.raises(ModelError, match=r"has 16 learned positions.*max_context to 16 or less"):
        encode(model, [3, 1, 4], max_context=17)


PROJECTION = "encoder.layer.1.attention.self.key.weight"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({PROJECTION: None}, f"tensor bert.{PROJECTION} is missing; the nearest is encoder"),
        ({PROJECTION: np.ones((8, 9))}, rf"tensor {PROJECTION} is \[8, 9\], .* makes it \[8, 8\]"),
        ({PROJECTION: np.ones((8, 8), np.int8)}, f"tensor {PROJECTION} is I8; only floating"),
        (
            {"embeddings.position_embeddings.weight": np.ones((17, 8))},
            r"position_embeddings.weight is \[17, 8\], config.json makes it \[16, 8\]",
        ),
        (
            {"encoder.layer.2.output.dense.bias": np.ones(8)},
            "tensor encoder.layer.2.output.dense.bias has no place .* num_hidden_layers",
        ),
    ],
)
def test_weights_that_are_not_the_models_are_refused_by_name(
    tmp_path: Path, changes: dict[str, Values | None], message: str
) -> None:
    tensors = {k: v for k, v in (bert_tensors() | changes).items() if v is not None}
    folder = write(tmp_path / "mine", ENCODER, tensors)
    with pytest.raises(ModelError, match=message) as error:
        load_model(str(folder))
    assert str(error.value).startswith(str(folder / "model.safetensors"))
    assert "\n" not in str(error.value)


def test_a_folder_that_lacks_a_file_is_refused(tmp_path: Path, bert: Path) -> None:
    (bert / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"model.safetensors: cannot be read \(No such file"):
        load_model(str(bert))
    assert load_model(str(bert / "config.json")).weights_source == "seeded normal, seed 0"
    (bert / "config.json").unlink()
    with pytest.raises(ModelError, match=r"config.json: cannot be read \(No such file"):
        load_model(str(bert))
    with pytest.raises(ModelError, match=r"none: no such folder; give one with config.json"):
        load_model(str(tmp_path / "none"))


def test_a_folder_without_a_vocabulary_says_what_to_add(bert: Path) -> None:
    with pytest.raises(ModelError, match=r"'mine' has no vocabulary here.*add a tokenizer.json"):
        load_model(str(bert)).encode("a text")


def test_an_unknown_source_of_weights_is_named(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("\n".join(f"{k}: {v}" for k, v in ENCODER.items()) + "\nsource: x\n")
    assert load_model(str(path)).parameter_count
    path.write_text(path.read_text() + "weights: minilmm/x\n")
    with pytest.raises(ModelError, match="source of weights 'minilmm'; did you mean 'minilm'"):
        load_model(str(path))


WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "cat", "##s", "sit", ".")


@needs_tokenizers
def test_a_vocab_txt_makes_a_word_piece_tokenizer(bert: Path) -> None:
    (bert / "vocab.txt").write_text("\n".join(WORDS))
    model = load_model(str(bert))
    ids = model.encode("A cats sits. Zebra")
    assert [WORDS[n] for n in ids] == [
        *("[CLS]", "a", "cat", "##s", "sit", "##s", ".", "[UNK]", "[SEP]"),
    ]
    assert model.decode(ids[:-2]) == "a cats sits."
    (bert / "tokenizer_config.json").write_text('{"do_lower_case": false}')
    assert load_model(str(bert)).encode("A")[1] == WORDS.index("[UNK]")


@needs_tokenizers
@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("vocab.txt", "\n".join(map(str, range(30))), r"has no token \[CLS\]"),
        ("vocab.txt", "\n".join([*WORDS, *"bcdefghijkl"]), "numbers up to 20, .* vocabulary of 20"),
        ("tokenizer.json", "{", "not a tokenizer.json"),
        ("tokenizer.json", "[]", "not a tokenizer.json"),
    ],
)
def test_a_tokenizer_that_does_not_match_the_model_is_refused(
    bert: Path, name: str, content: str, message: str
) -> None:
    (bert / name).write_text(content)
    with pytest.raises(ModelError, match=message) as error:
        load_model(str(bert))
    assert str(error.value).startswith(str(bert / name))
    assert "\n" not in str(error.value)
