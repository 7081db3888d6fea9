"""Write tests/fixtures/smollm2.npz anew: what transformers makes of SmolLM2's decoded weights."""

from pathlib import Path
from typing import Any

import numpy as np
import tokenizers
import torch
import transformers

from workloads.array import Values
from workloads.formats.gguf import GgufFile
from workloads.packages import SMOLLM2, package_file
from workloads.smollm2 import FILE

FIXTURE = Path(__file__).parents[1] / "fixtures" / "smollm2.npz"
PROMPT, NEW_TOKENS, CHECKED_LOGITS = "The capital of France is", 8, 64
MIXED = (
    "Hello world! It's 1234 \u00bd d\u00edas; we'll  see\n\n\n"
    "  na\u00efve caf\u00e9 \u4f60\u597d \U0001f389 don't"
)
TEXTS = (
    MIXED,
    "  x  9 \t\ty 'tis they've\u00a0a\u2003b",
    "<|im_start|>user\nHi<|im_end|>\n",
    "a\x1cb  ",
    "\u2167\u00b2 x\u0301 _a__b",
)
NAMES = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


def halves(weight: Values, heads: int) -> Values:
    """Order rows [H*D, k] of neighbouring rotary pairs as transformers: firsts, then seconds."""
    rows = weight.reshape(heads, -1, 2, weight.shape[1])  # [H, D/2, 2, k]
    return rows.swapaxes(1, 2).reshape(weight.shape)


def oracle() -> Any:
    """Return LlamaForCausalLM with the file's decoded weights."""
    torch.set_num_threads(1)
    file = GgufFile(package_file(SMOLLM2, FILE))
    facts = file.metadata
    config = transformers.LlamaConfig(
        vocab_size=facts["llama.vocab_size"],
        hidden_size=facts["llama.embedding_length"],
        intermediate_size=facts["llama.feed_forward_length"],
        num_hidden_layers=facts["llama.block_count"],
        num_attention_heads=(heads := facts["llama.attention.head_count"]),
        num_key_value_heads=(kv_heads := facts["llama.attention.head_count_kv"]),
        max_position_embeddings=facts["llama.context_length"],
        rms_norm_eps=1e-5,
        rope_parameters={"rope_type": "default", "rope_theta": facts["llama.rope.freq_base"]},
        tie_word_embeddings=True,
    )
    state = {
        "model.embed_tokens.weight": file.values("token_embd.weight"),
        "model.norm.weight": file.values("output_norm.weight"),
    }
    state["lm_head.weight"] = state["model.embed_tokens.weight"]
    for layer in range(config.num_hidden_layers):
        for theirs, name in NAMES.items():
            values = file.values(f"blk.{layer}.{theirs}.weight")
            if theirs in {"attn_q", "attn_k"}:
                values = halves(values, heads if theirs == "attn_q" else kv_heads)
            state[f"model.layers.{layer}.{name}.weight"] = values
    model = transformers.LlamaForCausalLM(config).eval()
    model.load_state_dict({k: torch.from_numpy(np.ascontiguousarray(v)) for k, v in state.items()})
    return model


def text_oracle() -> tokenizers.Tokenizer:
    """Return the vocabulary of the file, as the package tokenizers puts it to use."""
    facts = GgufFile(package_file(SMOLLM2, FILE)).metadata
    tokens = facts["tokenizer.ggml.tokens"]
    merges = [tuple(merge.split(" ")) for merge in facts["tokenizer.ggml.merges"]]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    pieces = tokenizers.pre_tokenizers
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE(vocabulary, merges))
    tokenizer.pre_tokenizer = pieces.Sequence(
        [pieces.Digits(individual_digits=True), pieces.ByteLevel(add_prefix_space=False)]
    )
    kinds = facts["tokenizer.ggml.token_type"]
    special = [token for token, kind in zip(tokens, kinds, strict=True) if kind == 3]
    tokenizer.add_special_tokens(special)
    return tokenizer


def answers() -> dict[str, Values]:
    """Token numbers of the texts, the prompt and its greedy answer, some logits of the first."""
    text, model = text_oracle(), oracle()
    ids = text.encode(PROMPT).ids
    found = {f"text{number}": np.array(text.encode(t).ids) for number, t in enumerate(TEXTS)}
    sequence = list(ids)
    with torch.no_grad():
        for step in range(NEW_TOKENS):
            logits = model(torch.tensor([sequence]), use_cache=False).logits[0, -1].numpy()
            if step == 0:
                found["logits"] = logits[:: len(logits) // CHECKED_LOGITS].copy()
            sequence.append(int(logits.argmax()))
    return found | {"prompt": np.array(ids), "ids": np.array(sequence[len(ids) :])}


if __name__ == "__main__":
    FIXTURE.parent.mkdir(exist_ok=True)
    np.savez_compressed(FIXTURE, **answers(), texts=np.array(TEXTS))
