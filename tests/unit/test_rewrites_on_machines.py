"""Which rewritten traces run on which machines, and how the others are refused."""

from collections.abc import Sequence

import pytest

from sim.errors import UnsupportedOpError
from sim.machine import load_machine
from sim.result import RunResult
from sim.run import run
from workloads import Model, generate, read_config
from workloads.architectures.rewritten_config import Rewrite
from workloads.rewrites import (
    Distil,
    Float8,
    FuseAttention,
    FuseBiasActivation,
    FuseQkv,
    FuseResidualNorm,
    LowRank,
    PruneColumns,
    PruneHeads,
    PruneTwoOfFour,
    PruneWeights,
    Quantise,
    QuantiseActivations,
    QuantiseCache,
    rewrite,
)

DTYPES = {"cpu-5stage": "float32", "gpu-a100-sxm-80gb": "float16", "tpu-v4": "bfloat16"}
EVERYWHERE = [
    PruneWeights(share=0.3),
    PruneHeads(keep=1),
    PruneColumns(keep=7),
    LowRank(rank=3),
    Distil(layers=2),
    FuseQkv(),
    FuseResidualNorm(),
    FuseBiasActivation(),
]
ACCELERATORS_ONLY = [
    [Quantise()],
    [Quantise(bits=4, per="group", group=4, symmetric=False)],
    [Quantise(), QuantiseActivations()],
    [Float8()],
    [QuantiseCache()],
    [PruneTwoOfFour()],
]


@pytest.fixture(scope="module")
def model() -> Model:
    config = {
        "source": "made up",
        "model_type": "gpt2",
        "hidden_size": 12,
        "num_hidden_layers": 3,
        "num_attention_heads": 3,
        "num_key_value_heads": 3,
        "intermediate_size": 20,
        "vocab_size": 50,
        "max_position_embeddings": 16,
        "hidden_act": "gelu_new",
        "layer_norm_epsilon": 1e-5,
        "tie_word_embeddings": True,
    }
    return Model(name="tiny", config=read_config(config), tokenizer=None, seed=1)


def on(machine: str, model: Model, rewrites: Sequence[Rewrite]) -> RunResult:
    trace = generate(
        rewrite(model, rewrites),
        prompt_tokens=5,
        new_tokens=2,
        execute=False,
        dtype=DTYPES[machine],
    ).trace
    return run(trace, load_machine(machine))


@pytest.mark.parametrize("machine", DTYPES)
@pytest.mark.parametrize("rewritten", EVERYWHERE, ids=lambda r: r.title)
def test_what_keeps_one_element_type_runs_everywhere(
    model: Model, machine: str, rewritten: Rewrite
) -> None:
    result = on(machine, model, [rewritten])
    assert sum(op.count for op in result.ops) > 0
    assert sum(op.cycles for op in result.ops) > 0


@pytest.mark.parametrize("machine", ["gpu-a100-sxm-80gb", "tpu-v4"])
@pytest.mark.parametrize("rewrites", ACCELERATORS_ONLY, ids=lambda rs: rs[-1].title)
def test_narrow_operands_run_on_accelerators(
    model: Model, machine: str, rewrites: Sequence[Rewrite]
) -> None:
    assert sum(op.cycles for op in on(machine, model, rewrites).ops) > 0


@pytest.mark.parametrize("rewrites", ACCELERATORS_ONLY, ids=lambda rs: rs[-1].title)
def test_the_scalar_core_refuses_narrow_operands(model: Model, rewrites: Sequence[Rewrite]) -> None:
    with pytest.raises(
        UnsupportedOpError, match=r"cannot run on cpu-5stage: (a product|no kernel)"
    ):
        on("cpu-5stage", model, rewrites)


@pytest.mark.parametrize("machine", DTYPES)
def test_fused_attention_is_refused_until_a_machine_lowers_it(model: Model, machine: str) -> None:
    with pytest.raises(
        UnsupportedOpError, match=r"no (kernel|lowering) for the family 'attention'"
    ):
        on(machine, model, [FuseAttention()])


@pytest.mark.parametrize(
    ("machine", "why"),
    [
        ("cpu-5stage", "no kernel for int4"),
        ("gpu-a100-sxm-80gb", "nothing here moves int4"),
        ("tpu-v4", "its vector unit has no int4"),
    ],
)
def test_a_cache_of_four_bits_is_refused(model: Model, machine: str, why: str) -> None:
    with pytest.raises(UnsupportedOpError, match=why):
        on(machine, model, [QuantiseCache(bits=4)])


@pytest.mark.parametrize("machine", ["gpu-a100-sxm-80gb", "tpu-v4"])
def test_narrow_weights_are_fewer_bytes_from_memory(model: Model, machine: str) -> None:
    whole, narrow = (
        sum(op.dram_read_bytes for op in on(machine, model, rewrites).ops)
        for rewrites in ([], [Quantise()])
    )
    assert narrow < whole
