"""The machines run what decoding traces: no operation of it lacks a lowering."""

from pathlib import Path

import pytest

from sim.machine import load_machine
from sim.run import run
from workloads import Model, Phase, Trace
from workloads.decoding.answer import sample
from workloads.decoding.beam import search
from workloads.decoding.prefix import PrefixCache
from workloads.decoding.ragged import answer_batch
from workloads.decoding.sampling import Sampling
from workloads.decoding.speculative import speculate

FILTERS = Sampling(temperature=0.8, top_k=20, top_p=0.9, min_p=0.01)


@pytest.fixture
def traces(llama: Model, gpt2: Model, draft: Model) -> dict[str, Trace]:
    shape = {"execute": False}
    cache = PrefixCache(llama, execute=False)
    cache.answer([1, 2, 3, 4], new_tokens=1)
    return {
        "chunks": sample(
            llama, prompt_tokens=7, new_tokens=3, chunk_tokens=3, settings=FILTERS, **shape
        ).trace,
        "ragged": answer_batch(gpt2, prompt_lengths=[5, 2], new_tokens=3, **shape).generation.trace,
        "beams": search(llama, prompt_tokens=4, new_tokens=4, beams=3, **shape).trace,
        "speculative": speculate(
            llama, draft, prompt_tokens=5, new_tokens=9, accepted=[2, 4], **shape
        ).trace,
        "sampled speculation": speculate(
            llama, draft, prompt_tokens=5, new_tokens=6, accepted=[4], settings=FILTERS, **shape
        ).trace,
        "prefix": cache.answer([1, 2, 3, 9, 9], new_tokens=3).generation.trace,
    }


@pytest.mark.parametrize("machine", ["cpu-5stage", "gpu-a100-sxm-80gb", "tpu-v4"])
def test_every_way_of_decoding_runs_on_every_kind_of_machine(
    traces: dict[str, Trace], machine: str
) -> None:
    for trace in traces.values():
        result = run(trace, load_machine(machine))
        decode = result.phase(Phase.DECODE)
        assert decode.tokens == (trace.new_tokens - 1) * trace.batch
        assert decode.cycles > 0


def test_traces_of_decoding_survive_a_file(traces: dict[str, Trace], tmp_path: Path) -> None:
    for trace in traces.values():
        trace.save(tmp_path / "trace.gz")
        assert Trace.load(tmp_path / "trace.gz") == trace
