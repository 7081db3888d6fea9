"""Laws that the trace of any mixture of experts keeps, on random small models."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from workloads import Model, Role, Trace, generate, parameter_count, read_config

small = st.integers(1, 3)


@st.composite
def mixtures(draw: Any) -> Model:
    heads = draw(small)
    per_group = draw(st.integers(2, 3))
    groups = draw(small)
    layers = draw(st.integers(1, 4))
    own: dict[str, Any] = {
        "model_type": "mixtral",
        "num_local_experts": per_group * groups,
        "num_experts_per_tok": draw(st.integers(1, per_group * groups)),
    }
    if draw(st.booleans()):
        kept = draw(st.integers(1, groups))
        own = {
            "model_type": "deepseek_v3",
            "q_lora_rank": draw(st.sampled_from([None, 3])),
            "kv_lora_rank": draw(st.integers(1, 6)),
            "qk_nope_head_dim": draw(small),
            "qk_rope_head_dim": 2 * draw(small),
            "v_head_dim": draw(small),
            "first_k_dense_replace": draw(st.integers(0, layers)),
            "moe_intermediate_size": draw(small),
            "n_routed_experts": per_group * groups,
            "n_shared_experts": draw(st.integers(0, 2)),
            "num_experts_per_tok": draw(st.integers(1, per_group * kept)),
            "n_group": groups,
            "topk_group": kept,
            "norm_topk_prob": draw(st.booleans()),
            "routed_scaling_factor": draw(st.sampled_from([1.0, 2.5])),
            "latent_form": draw(st.sampled_from(["naive", "absorbed", "fewest_flops"])),
        }
    config = read_config(
        {
            "source": "random",
            "hidden_size": heads * 2 * draw(small),
            "num_hidden_layers": layers,
            "num_attention_heads": heads,
            "intermediate_size": draw(st.integers(1, 9)),
            "vocab_size": draw(st.integers(2, 9)),
            "max_position_embeddings": 16,
            "rms_norm_eps": 1e-6,
            "routing": "balanced",
            **own,
        }
    )
    return Model(name="random", config=config, tokenizer=None, seed=0)


requests = st.fixed_dictionaries(
    {"prompt_tokens": st.integers(1, 6), "new_tokens": st.integers(1, 4), "batch": small}
)


@given(model=mixtures(), request=requests)
@settings(max_examples=40, deadline=None)
def test_balanced_and_shape_only_runs_of_a_mixture_have_one_digest(
    model: Model, request: dict[str, Any]
) -> None:
    executed = generate(model, **request).trace
    shaped = generate(model, **request, execute=False).trace
    assert executed.digest() == shaped.digest()


@given(model=mixtures(), request=requests, by_data=st.booleans())
@settings(max_examples=40, deadline=None)
def test_experts_overwrite_nothing_that_is_still_read_and_read_nothing_too_soon(
    model: Model, request: dict[str, Any], by_data: bool
) -> None:
    config = model.config.with_routing("data" if by_data else "balanced")
    chosen = Model(name="random", config=config, tokenizer=None, seed=0)
    trace = generate(chosen, **request, execute=by_data).trace
    before: list[int] = []  # bit set of all that an operation waits for, directly or not
    users: dict[tuple[int, int | None], int] = {}
    writer: dict[tuple[int, int | None], int] = {}
    for placed in trace.placed_ops():
        waits = 0
        for dependency in placed.dependencies:
            waits |= before[dependency] | 1 << dependency
        before.append(waits)
        for access in placed.op.reads:
            if trace.tensors[access.tensor].role in {Role.ACTIVATION, Role.KV_CACHE}:
                assert writer[where(trace, access.tensor, placed.layer)] in placed.dependencies
        for access in placed.op.writes:
            place = where(trace, access.tensor, placed.layer)
            assert users.get(place, 0) & ~waits == 0
            users[place], writer[place] = 1 << placed.index, placed.index
        for access in placed.op.reads:
            place = where(trace, access.tensor, placed.layer)
            users[place] = users.get(place, 0) | 1 << placed.index


def where(trace: Trace, tensor: int, layer: int | None) -> tuple[int, int | None]:
    return tensor, layer if trace.tensors[tensor].layer_stride_bytes else None


@given(model=mixtures(), request=requests)
@settings(max_examples=30, deadline=None)
def test_flops_of_a_mixture_have_their_closed_form(model: Model, request: dict[str, Any]) -> None:
    trace = generate(model, **request, execute=False).trace
    batch, prompt = request["batch"], request["prompt_tokens"]
    passes = [(0, prompt)] + [(prompt + n, 1) for n in range(request["new_tokens"] - 1)]
    assert trace.flops == sum(pass_flops(model.config, batch, *one) for one in passes)
    learned = trace.weight_bytes // 4 - corrections(model.config)
    assert learned == parameter_count(model.config)


def corrections(config: Any) -> int:
    experts = config.experts
    sparse = config.num_hidden_layers - experts.first_dense
    return sparse * experts.count if experts.corrected else 0


def pass_flops(config: Any, batch: int, start: int, tokens: int) -> int:
    """Arithmetic of one pass, from the published shapes alone."""
    c, v, rows, experts = config.hidden_size, config.vocab_size, batch * tokens, config.experts
    wide = config.intermediate_size
    dense = 6 * rows * c * wide + 3 * rows * wide  # three products, SwiGLU
    norms = 2 * (4 * rows * c + 2 * rows)
    adding = 2 * rows * c
    layers, sparse = config.num_hidden_layers, config.num_hidden_layers - experts.first_dense
    attention = latent_flops if config.latent else grouped_flops
    every = layers * (attention(config, batch, start, tokens) + norms)
    plain = (layers - sparse) * (dense + adding)
    mixed = sparse * (mixture_flops(config, rows) + rows * c)
    last = batch * (4 * c + 2 + 2 * c * v + v)  # norm, head, choice
    return every + plain + mixed + last


def mixture_flops(config: Any, rows: int) -> int:
    c, e = config.hidden_size, config.experts
    scores = 2 if e.scoring == "sigmoid" else 4
    choice = e.count * (e.chosen + e.corrected)
    if e.groups_chosen < e.groups:
        choice += 2 * e.count + e.groups + e.groups_chosen * e.groups
    weights = e.chosen * (2 * e.normalised + (e.scale != 1))
    each = 6 * c * e.intermediate_size + 3 * e.intermediate_size + 2 * c
    shared = 6 * c * e.shared_size + 3 * e.shared_size + c * (e.shared > 0)
    return rows * (2 * c * e.count + scores * e.count + choice + weights + e.chosen * each + shared)


def scores_flops(rows: int, tokens: int, heads: int, seen: int) -> int:
    return 5 * rows * heads * seen + tokens * seen


def grouped_flops(config: Any, batch: int, start: int, tokens: int) -> int:
    rows, seen, c = batch * tokens, start + tokens, config.hidden_size
    heads, size, kv = config.num_attention_heads, config.head_dim, config.key_value_size
    products = 2 * rows * c * (2 * heads * size + 2 * kv)
    turned = 3 * rows * (heads * size + kv) + 2 * tokens * (size // 2)
    attending = 4 * rows * heads * size * seen
    return products + turned + attending + scores_flops(rows, tokens, heads, seen)


def latent_flops(config: Any, batch: int, start: int, tokens: int) -> int:
    latent = config.latent
    rows, seen, c, heads = (
        batch * tokens,
        start + tokens,
        config.hidden_size,
        config.num_attention_heads,
    )
    q, r = latent.query_rank, latent.rank
    n, p, v = latent.content_size, latent.rotary_size, latent.value_size
    asked = 2 * rows * c * heads * (n + p)
    if q:
        asked = 2 * rows * q * (c + heads * (n + p)) + 4 * rows * q + 2 * rows
    kept = 2 * rows * c * (r + p) + 4 * rows * r + 2 * rows
    turned = 3 * rows * p * (heads + 1) + 2 * tokens * (p // 2)
    if latent.is_absorbed(tokens, start):
        attending = 2 * rows * heads * (r * (n + v) + seen * (2 * r + p))
    else:
        attending = 2 * heads * (batch * seen * r * (n + v) + rows * seen * (n + p + v))
    out = 2 * rows * heads * v * c
    return asked + kept + turned + attending + out + scores_flops(rows, tokens, heads, seen)
