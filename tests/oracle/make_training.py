"""Write the fixtures of training anew: what torch's optimisers and two tiny decoders do."""

from pathlib import Path

import numpy as np
import torch
from torch import nn
from training_cases import (
    BATCH,
    CONFIGS,
    LEARNING_RATE,
    MAX_NORM,
    OPTIMISERS,
    TOKENS,
    WEIGHT_DECAY,
    batches,
    first_weight,
    gradients,
    model,
    schedule,
)
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from workloads.array import Values

FIXTURE = Path(__file__).parents[1] / "fixtures" / "training.npz"

torch.set_num_threads(1)

GPT2_NAMES = {
    "embedding.token.weight": "transformer.wte.weight",
    "embedding.position.weight": "transformer.wpe.weight",
    "attention.norm": "ln_1",
    "attention.output": "attn.c_proj",
    "mlp.norm": "ln_2",
    "mlp.up": "mlp.c_fc",
    "mlp.down": "mlp.c_proj",
    "norm.weight": "transformer.ln_f.weight",
    "norm.bias": "transformer.ln_f.bias",
}
LLAMA_NAMES = {
    "embedding.token.weight": "model.embed_tokens.weight",
    "attention.norm": "input_layernorm",
    "attention.query": "self_attn.q_proj",
    "attention.key": "self_attn.k_proj",
    "attention.value": "self_attn.v_proj",
    "attention.output": "self_attn.o_proj",
    "mlp.norm": "post_attention_layernorm",
    "mlp.gate": "mlp.gate_proj",
    "mlp.up": "mlp.up_proj",
    "mlp.down": "mlp.down_proj",
    "norm.weight": "model.norm.weight",
}


def optimiser_weights(name: str) -> Values:
    """The weight after each step, [steps, 5], in float64."""
    rivals = OPTIMISERS[name]
    weight = nn.Parameter(torch.from_numpy(first_weight()))
    optimiser = getattr(torch.optim, rivals.name)([weight], **rivals.arguments)
    after = []
    for gradient in gradients():
        weight.grad = torch.from_numpy(gradient)
        optimiser.step()
        after.append(weight.detach().numpy().copy())
    return np.array(after)


def torch_model(name: str) -> nn.Module:
    """Build and fill transformers' model in float64, without dropout."""
    ours = model(name)
    config = ours.config
    common = {
        "vocab_size": config.vocab_size,
        "tie_word_embeddings": config.tie_word_embeddings,
        "attn_implementation": "eager",
    }
    if CONFIGS[name]["model_type"] == "gpt2":
        theirs: nn.Module = GPT2LMHeadModel(
            GPT2Config(
                n_embd=config.hidden_size,
                n_layer=config.num_hidden_layers,
                n_head=config.num_attention_heads,
                n_inner=config.intermediate_size,
                n_positions=TOKENS,
                resid_pdrop=0.0,
                embd_pdrop=0.0,
                attn_pdrop=0.0,
                **common,
            )
        )
    else:
        theirs = LlamaForCausalLM(
            LlamaConfig(
                hidden_size=config.hidden_size,
                intermediate_size=config.intermediate_size,
                num_hidden_layers=config.num_hidden_layers,
                num_attention_heads=config.num_attention_heads,
                num_key_value_heads=config.num_key_value_heads,
                max_position_embeddings=TOKENS,
                rms_norm_eps=config.norm_eps,
                **common,
            )
        )
    theirs = theirs.double()
    fill(theirs, name)
    return theirs


def fill(theirs: nn.Module, name: str) -> None:
    """Give it our seeded weights, every one."""
    ours = model(name)
    weight = ours.weights(ours.config, "float64")
    layers = ours.config.num_hidden_layers
    gpt2 = CONFIGS[name]["model_type"] == "gpt2"
    state = {}
    for parameter in theirs.state_dict():
        if parameter == "lm_head.weight":
            tied = ours.config.tie_word_embeddings
            value = (
                weight("embedding.token.weight", None) if tied else weight("head.weight", None).T
            )
        elif ".h." in parameter or ".layers." in parameter:
            layer = next(n for n in range(layers) if f".{n}." in parameter)
            value = (
                gpt2_layer(weight, parameter, layer)
                if gpt2
                else llama_layer(weight, parameter, layer)
            )
        else:
            names = {theirs: ours for ours, theirs in (GPT2_NAMES if gpt2 else LLAMA_NAMES).items()}
            value = weight(names[parameter], None)
        state[parameter] = torch.from_numpy(np.ascontiguousarray(value))
    theirs.load_state_dict(state, strict=True)


def gpt2_layer(weight, parameter: str, layer: int) -> Values:
    """Our weight of a GPT-2 layer; query, key and value lie side by side there."""
    part = parameter.split(f"h.{layer}.")[1]
    stem, _, kind = part.rpartition(".")
    if stem == "attn.c_attn":
        parts = [weight(f"attention.{n}.{kind}", layer) for n in ("query", "key", "value")]
        return np.concatenate(parts, axis=-1)
    names = {theirs: ours for ours, theirs in GPT2_NAMES.items()}
    return weight(f"{names[stem]}.{kind}", layer)


def llama_layer(weight, parameter: str, layer: int) -> Values:
    """Our weight of a Llama layer, [k, n] -> [n, k]."""
    stem = parameter.split(f"layers.{layer}.")[1].removesuffix(".weight")
    names = {theirs: ours for ours, theirs in LLAMA_NAMES.items()}
    return weight(f"{names[stem]}.weight", layer).T


def training(name: str) -> tuple[Values, Values]:
    """Losses and gradient norms of all steps: AdamW, clipping, warm-up and cosine decay."""
    theirs = torch_model(name).train()
    optimiser = torch.optim.AdamW(theirs.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    decay = torch.optim.lr_scheduler.LambdaLR(optimiser, schedule())
    losses, norms = [], []
    for batch in batches():
        assert batch.shape == (BATCH, TOKENS + 1)
        ids = torch.from_numpy(batch)
        logits = theirs(ids[:, :-1], use_cache=False).logits
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())
        optimiser.zero_grad()
        loss.backward()
        norms.append(nn.utils.clip_grad_norm_(theirs.parameters(), MAX_NORM).item())
        optimiser.step()
        decay.step()
        losses.append(loss.item())
    return np.array(losses), np.array(norms)


def answers() -> dict[str, Values]:
    """All that the fixture holds."""
    found = {f"optimiser/{name}": optimiser_weights(name) for name in OPTIMISERS}
    for name in CONFIGS:
        found[f"losses/{name}"], found[f"norms/{name}"] = training(name)
    return found


if __name__ == "__main__":
    FIXTURE.parent.mkdir(exist_ok=True)
    np.savez_compressed(FIXTURE, **answers())
