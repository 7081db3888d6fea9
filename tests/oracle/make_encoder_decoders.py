"""Write tests/fixtures/encoder_decoders/ anew, with torch and transformers."""

import json
import shutil
from typing import Any

import encoder_decoder_names as names
import numpy as np
import torch
import transformers
from compare import FIXTURES, build, fill, save
from drawn import all_weights
from encoder_decoder_cases import FAMILIES, NEW_TOKENS, SOURCES
from torch import nn
from torch_transformer import Transformer

from workloads import read_config
from workloads.array import Values

CLASSES = {
    "marian": (transformers.MarianConfig, transformers.MarianMTModel),
    "t5": (transformers.T5Config, transformers.T5ForConditionalGeneration),
    "whisper": (transformers.WhisperConfig, transformers.WhisperForConditionalGeneration),
}
CASES = tuple(FAMILIES)
TOKENS = {"bos_token_id": 1, "eos_token_id": 0, "pad_token_id": 2}


def oracle(case: str) -> tuple[nn.Module, dict[str, Any]]:
    """Return the filled torch model of a case, and its configuration as config.json has it."""
    kind = str(FAMILIES[case]["model_type"])
    if kind == "transformer":  # of which transformers has no class
        ours = read_config({**FAMILIES[case], "source": "drawn"})
        model = Transformer(ours).eval()
        fill(model, names.transformer(all_weights(ours)))
        return model, FAMILIES[case]
    config_class, model_class = CLASSES[kind]
    given = {key: value for key, value in FAMILIES[case].items() if key != "model_type"}
    config = config_class(**{"decoder_vocab_size": 50} | TOKENS | given)
    description = json.loads(config.to_json_string(use_diff=False))
    if kind != "marian":
        description.pop("decoder_vocab_size", None)
    model = build(model_class, config)
    ours = read_config({**description, "source": "drawn"})
    weights = all_weights(ours)
    if kind == "t5":
        state = names.t5(weights, gated=ours.gated)
    elif kind == "marian":
        state = names.marian(weights, ours.max_position_embeddings)
        bias = torch.from_numpy(weights["head.bias", None])
        model.final_logits_bias.copy_(bias[None])  # a buffer
    else:
        state = names.whisper(weights)
    fill(model, state)
    return model, description


def source(case: str) -> Values:
    """Tokens [B, N], or a spectrogram [B, frames, mel bins], drawn from a seed."""
    random = np.random.default_rng(0)
    if case != "whisper":
        return random.integers(50, size=(SOURCES, 11))
    return random.standard_normal((SOURCES, 18, 5)).astype(np.float32)


def run(model: nn.Module, given: Values, ids: Values) -> tuple[Values, Values]:
    """Encoder's result [B, N, C], and logits [B, T, V] of a whole answer, uncached."""
    tokens = torch.from_numpy(ids)
    if given.ndim == 2:
        inputs = {"input_ids": torch.from_numpy(given)}
    else:
        inputs = {"input_features": torch.from_numpy(given.transpose(0, 2, 1).copy())}
    with torch.no_grad():
        result = model(**inputs, decoder_input_ids=tokens, use_cache=False)
    return result.encoder_last_hidden_state.numpy(), result.logits.numpy()


def greedy(model: nn.Module, given: Values, start: int) -> Values:
    """What the oracle answers, beginning with its start token: [B, 1 + new]."""
    ids = np.full((SOURCES, 1), start)
    for _ in range(NEW_TOKENS):
        chosen = run(model, given, ids)[1][:, -1].argmax(axis=-1, keepdims=True)
        ids = np.concatenate([ids, chosen], axis=1)
    return ids


def main() -> None:
    """Write all of them; what no case makes is deleted."""
    shutil.rmtree(FIXTURES / "encoder_decoders", ignore_errors=True)
    for case in CASES:
        model, description = oracle(case)
        given = source(case)
        ids = greedy(model, given, description.get("decoder_start_token_id", 0))
        encoded, logits = run(model, given, ids[:, :-1])
        save(
            f"encoder_decoders/{case}",
            config=json.dumps(description),
            source=given,
            ids=ids,
            encoded=encoded,
            logits=logits,
        )


if __name__ == "__main__":
    main()
