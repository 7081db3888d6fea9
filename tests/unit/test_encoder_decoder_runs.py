"""Encoder-decoders on every family of machines: lowered whole, no law broken."""

import pytest
from encoder_decoder_cases import small

from sim.machine import load_machine
from sim.run import run
from workloads.answer import answer
from workloads.trace import Phase


@pytest.mark.parametrize("machine", ["cpu-5stage", "gpu-a100-sxm-80gb", "tpu-v4"])
@pytest.mark.parametrize(("family", "length"), [("t5", 6), ("whisper", 18)])
def test_a_small_answer_runs_on_every_family_of_machines(
    machine: str, family: str, length: int
) -> None:
    trace = answer(small(family), source_length=length, new_tokens=3, execute=False).trace
    result = run(trace, load_machine(machine))
    assert sum(op.count for op in result.ops) == trace.op_count
    prefill, decode = result.phase(Phase.PREFILL), result.phase(Phase.DECODE)
    assert prefill.cycles > decode.cycles / 2  # one pass of each stack; two of the decoder alone
    assert result.cycles == prefill.cycles + decode.cycles
