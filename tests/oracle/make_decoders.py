"""Write tests/fixtures/decoders/ and tests/fixtures/configs/ anew, with torch and transformers."""

import json
import shutil
from typing import Any

import numpy as np
import torch
import transformers
from compare import FIXTURES, answers, build, fill, save
from decoder_cases import CASES, NEW_TOKENS, PROMPT_TOKENS, PROMPTS, TOKENS
from decoder_names import torch_state
from drawn import all_weights
from torch import nn

from workloads import read_config
from workloads.array import Values


def oracle(case: str) -> tuple[nn.Module, dict[str, Any]]:
    """Return the filled torch model of a case, and its configuration as config.json has it."""
    family, given = CASES[case]
    config = getattr(transformers, f"{family}Config")(**given, **TOKENS)
    description = json.loads(config.to_json_string(use_diff=False))
    model = build(transformers.AutoModelForCausalLM, config)
    ours = read_config({**description, "source": "drawn"})
    fill(model, torch_state(ours, all_weights(ours)))
    return model, description


def greedy(model: nn.Module, vocabulary: int) -> Values:
    """Prompts drawn from a seed, and what the oracle makes of them: [B, prompt + new]."""
    random = np.random.default_rng(0)
    ids = random.integers(vocabulary, size=(PROMPTS, PROMPT_TOKENS))
    for _ in range(NEW_TOKENS):
        with torch.no_grad():
            logits = model(torch.from_numpy(ids), use_cache=False).logits[:, -1]
        ids = np.concatenate([ids, logits.argmax(dim=-1, keepdim=True).numpy()], axis=1)
    return ids


def main() -> None:
    """Write all of them; what no case makes is deleted."""
    shutil.rmtree(FIXTURES / "decoders", ignore_errors=True)
    for case in CASES:
        model, description = oracle(case)
        ids = greedy(model, description["vocab_size"])
        logits = answers(model, ids, PROMPT_TOKENS)
        save(f"decoders/{case}", config=json.dumps(description), ids=ids, logits=logits)
    for family in sorted({family for family, _ in CASES.values()}):
        config = getattr(transformers, f"{family}Config")()
        path = FIXTURES / "configs" / f"{config.model_type}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(config.to_json_string(use_diff=False))


if __name__ == "__main__":
    main()
