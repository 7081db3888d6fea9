"""Write tests/fixtures/experts/ anew, with torch and transformers."""

import json

import numpy as np
import torch
import transformers
from compare import FIXTURES, answers, build, fill, save
from drawn import drawn_weights
from expert_cases import CASES, NEW_TOKENS, PROMPT_TOKENS, PROMPTS, description
from expert_names import corrections, torch_state
from torch import nn

from workloads import read_config
from workloads.array import Values


def oracle(case: str) -> nn.Module:
    """Return the filled torch model of a case."""
    family, given = CASES[case]
    tokens = {"bos_token_id": None, "eos_token_id": None, "pad_token_id": None}
    config = getattr(transformers, f"{family}Config")(**given, **tokens)
    model = build(transformers.AutoModelForCausalLM, config)
    ours = read_config(description(case))
    source = drawn_weights(ours)
    fill(model, torch_state(ours, source))
    buffers = dict(model.named_buffers())
    for name, values in corrections(ours, source).items():
        buffers[name].copy_(torch.from_numpy(values))
    return model


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
    for old in (FIXTURES / "experts").glob("*.npz"):
        old.unlink()
    for case in CASES:
        model, told = oracle(case), description(case)
        ids = greedy(model, told["vocab_size"])
        logits = answers(model, ids, PROMPT_TOKENS)
        save(f"experts/{case}", config=json.dumps(told), ids=ids, logits=logits)


if __name__ == "__main__":
    main()
