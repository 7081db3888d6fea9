"""Write tests/fixtures/encoders/ and sentences.npz anew, with torch and transformers."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from compare import FIXTURES, build, fill, save
from drawn import all_weights
from encoder_cases import CASES, LENGTHS, described, texts
from encoder_names import torch_state
from torch import nn

from workloads import read_config
from workloads.array import Values
from workloads.packages import MINILM, package_file

SENTENCES = (
    "A cat sits on the mat.",
    "Matrix multiplication takes most of a Transformer's time; isn't that a surprise?",
    "Zürich, 1945: a stored-program computer!",
    "",
)


def oracle(case: str) -> tuple[nn.Module, dict[str, Any]]:
    """Return the filled torch model of a case, and its configuration as config.json has it."""
    kind, given = CASES[case]
    model_class = getattr(transformers, kind)
    config = model_class.config_class(**given)
    description = json.loads(config.to_json_string())
    model = build(model_class, config)
    weights = all_weights(read_config({**description, **described(case)}))
    prefix = "bert." if kind.endswith("MaskedLM") else ""
    fill(model, torch_state(weights, prefix=prefix))
    return model, description


def padded(rows: list[list[int]]) -> torch.Tensor:
    """Token numbers or segments [B, T], zeros behind the end of shorter texts."""
    return torch.tensor([row + [0] * (max(LENGTHS) - len(row)) for row in rows])


def answers(model: nn.Module) -> dict[str, Values]:
    """Compute hidden states, pooled vectors and logits of the texts, whichever the model has."""
    ids, types = texts()
    seen = torch.arange(max(LENGTHS)) < torch.tensor(LENGTHS)[:, None]
    with torch.no_grad():
        result = model(
            padded(ids),
            token_type_ids=padded(types),
            attention_mask=seen.long(),
            output_hidden_states=True,
        )
    found = {
        "hidden": result.hidden_states[-1],
        "pooled": getattr(result, "pooler_output", None),
        "logits": getattr(result, "logits", None),
    }
    return {name: tensor.numpy() for name, tensor in found.items() if tensor is not None}


def sentence_embeddings(folder: Path) -> dict[str, Values]:
    """Token numbers of each sentence, padded with -1, and the mean of its last vectors.

    The means [B, C] are scaled to length 1; each sentence goes through the model alone.
    """
    model = transformers.BertModel.from_pretrained(folder, attn_implementation="eager").eval()
    tokenizer = transformers.BertTokenizerFast.from_pretrained(folder)
    tokens = [tokenizer(sentence)["input_ids"] for sentence in SENTENCES]
    rows = []
    for ids in tokens:
        with torch.no_grad():
            mean = model(torch.tensor([ids])).last_hidden_state[0].mean(dim=0)
        rows.append(nn.functional.normalize(mean, dim=0).numpy())
    longest = max(map(len, tokens))
    padded_ids = [ids + [-1] * (longest - len(ids)) for ids in tokens]
    return {"ids": np.array(padded_ids), "embeddings": np.stack(rows)}


def main() -> None:
    """Write all of them; what no case makes is deleted."""
    shutil.rmtree(FIXTURES / "encoders", ignore_errors=True)
    for case in CASES:
        model, description = oracle(case)
        save(f"encoders/{case}", config=json.dumps(description), **answers(model))
    folder = package_file(MINILM, "model.safetensors", verify=True).parent
    save("sentences", texts=np.array(SENTENCES), **sentence_embeddings(folder))


if __name__ == "__main__":
    main()
