"""A model's decode steps executed instruction by instruction, beside what the trace predicts.

numpy takes in the prompt; then every instruction of each further pass is executed on an in-order
RISC-V core, by vector kernels where it has lanes. The machine model runs the same trace without
values; for a scalar core by the same kernels. Their difference is its error, of which these are
parts: it takes branches that values decide as `kernel_trees` says, finds lines by operand and not
in sets, and begins the first step with what the prefill left in the caches, where the program
begins with empty ones. For a core with lanes it has loops of its own (`sim/cpu/kernels/*.s` and
passes that `sim.cpu.kernels` writes), so the difference is also one between two programs: an
instruction of its loops takes one vector register and each holds the pipeline while it misses; an
executed one takes groups of four or eight registers through a unit that works beside the scalar
pipeline, and what it misses is charged to the operation that next waits for the unit.
"""

from __future__ import annotations

import numpy as np

from reports.executed import Executed, ExecutedStep, OpShare
from reports.traced import DEFAULT_PROMPT, DEFAULT_PROMPT_TOKENS
from sim.cpu.riscv.calls import ModelNumbers
from sim.cpu.riscv.compiled import CompiledMachine, CoreTiming, Section
from sim.cpu.riscv.decode_step import (
    TEXT_BASE,
    StepProgram,
    packed,
    packed_weights,
    step_program,
    tensor_bytes,
)
from sim.cpu.riscv.kernel_set import SCALAR_KERNELS, vector_kernels
from sim.cpu.spec import CoreSpec, CpuSpec
from sim.errors import SpecError, TokenclockError
from sim.lowering import MachineModel
from sim.memory.cache.counts import HierarchyCounts
from sim.result import RunResult
from sim.run import run
from sim.stalls import CycleStack
from workloads import Generation, Model, ModelError, Role, Trace, generate, load_model
from workloads.architectures.decoder_config import DecoderConfig
from workloads.architectures.registry import architecture_of

STEP_LIMIT = 2_000_000_000
"""Instructions of one decode step after which it counts as endless."""
PROGRAM_EXIT = "exit"
"""What the instructions behind the last operation are called."""


def execute_model(
    name: str,
    machine: MachineModel,
    *,
    prompt: str | None,
    new_tokens: int,
    max_context: int | None = None,
) -> Executed:
    """Execute `new_tokens` decode steps after numpy's prefill, caches empty at first.

    A model without a vocabulary is given a drawn prompt. Raises TokenclockError or ModelError
    where it cannot be executed, SpecError where the machine is not one in-order core.
    """
    if new_tokens < 1:
        raise TokenclockError(f"--new-tokens {new_tokens}: execute at least 1")
    spec = machine.spec
    if not isinstance(spec, CpuSpec):
        raise SpecError(
            f"{spec.name}: programs are RISC-V and run on the in-order CPUs; take cpu-5stage, "
            "cpu-superpipelined, cpu-dual-issue, cpu-harvard, cpu-von-neumann or cpu-simd"
        )
    timing = CoreTiming.of(spec)
    model = load_model(name)
    numbers = model_numbers(model)
    if prompt is None and model.tokenizer is not None:
        prompt = DEFAULT_PROMPT
    generation = generate(
        model,
        None if prompt is None else model.encode(prompt),
        prompt_tokens=DEFAULT_PROMPT_TOKENS if prompt is None else None,
        new_tokens=new_tokens + 1,
        max_context=max_context,
    )
    session = _Session(generation, numbers, timing, spec.core)
    steps = tuple(session.step(step) for step in range(1, new_tokens + 1))
    return Executed(
        model=name,
        machine=spec.name,
        clock_hz=spec.clock_hz,
        same_kernels=spec.core.lanes == 1,
        prompt=prompt,
        first_text=_text(model, [session.first_token]),
        text=_text(model, [step.token for step in steps]),
        steps=steps,
        ops=_shares(session.sections, run(generation.trace, machine), new_tokens),
        cache_misses=_misses(timing, session.machine.cache_counts),
    )


def _text(model: Model, tokens: list[int]) -> str:
    return model.decode(tokens) if model.tokenizer is not None else ""


def model_numbers(model: Model) -> ModelNumbers:
    """Return what the kernels need to know; ModelError for what they would compute otherwise."""
    config = model.config
    if not isinstance(config, DecoderConfig):
        kind = architecture_of(config).name
        raise ModelError(f"{model.name} is no decoder but {kind}: no program is written for it")
    unknown = {
        "experts": config.experts,
        "latent attention": config.latent,
        "a sliding window": config.sliding_window,
        "capped scores": config.attention_softcap,
        "a scale of its own for scores": config.attention_scale,
        "scaled rotary positions": config.rope_scaling,
        "partly rotated heads": config.rotated != config.head_dim,
        "norms of 1 + weight": config.norm_offset,
        "ALiBi": config.positions == "alibi",
    }
    for what, asked in unknown.items():
        if asked:
            raise ModelError(
                f"{model.name} has {what}, which the kernels in sim/cpu/riscv/kernels do not "
                "compute; take glassllm-en, a GPT-2 or a plain Llama"
            )
    return ModelNumbers(
        head_size=config.head_dim,
        norm_eps=config.norm_eps,
        rope_theta=config.rope_theta if config.positions == "rotary" else None,
        rope_interleaved=config.rope_interleaved,
        transposed=frozenset({"head"} if config.tie_word_embeddings else ()),
    )


class _Session:
    """The machine from step to step: memory laid out as the trace says."""

    def __init__(
        self, generation: Generation, numbers: ModelNumbers, timing: CoreTiming, core: CoreSpec
    ) -> None:
        vector = core.lanes > 1
        self.kernels = vector_kernels(core.vector_bits) if vector else SCALAR_KERNELS
        self.trace: Trace = generation.trace
        self.numbers = numbers
        self.tokens, self.logits = generation.token_ids, generation.logits
        first = step_program(self.trace, 1, numbers, self.kernels)
        size = tensor_bytes(self.trace)
        if size > TEXT_BASE:
            raise TokenclockError(
                f"{self.trace.model}: {size:,} bytes of tensors are more than programs here are "
                f"laid out for, {TEXT_BASE:,}; take a smaller model or context"
            )
        self.machine = CompiledMachine(
            first.program,
            timing=timing,
            regions=[(0, size)],
            power_off=False,
            vlen_bits=core.vector_bits,
        )
        self.sections: list[tuple[StepProgram, tuple[Section, ...]]] = []
        assert self.tokens is not None  # noqa: S101 - generate executes a prompt of tokens
        self.first_token = int(self.tokens[0, 0])
        self._fill(generation)

    def _fill(self, generation: Generation) -> None:
        """Write weights, the prompt's keys and values, and the first token."""
        trace, view = self.trace, self.machine.memory.view
        in_panels = packed_weights(trace, self.numbers)
        for tensor in trace.tensors:
            if tensor.role not in (Role.WEIGHT, Role.KV_CACHE):
                continue
            layered = tensor.layers > 1 or tensor.layer_stride_bytes > 0
            for layer in range(tensor.layers):
                values = generation.values(tensor.name, layer if layered else None)
                assert values is not None  # noqa: S101 - as above
                if tensor.role is Role.KV_CACHE:
                    values = values[: trace.prompt_tokens]
                if tensor.name in in_panels:
                    values = packed(values, self.kernels.panel_columns)
                content = np.ascontiguousarray(values).reshape(-1).view(np.uint8)
                view(tensor.address_in(layer), len(content))[:] = content
        token = next(tensor for tensor in trace.tensors if tensor.name == "token")
        view(token.address, 8).view(np.int64)[0] = self.first_token

    def step(self, step: int) -> ExecutedStep:
        """Execute a decode step and compare it with numpy's."""
        built = step_program(self.trace, step, self.numbers, self.kernels)
        self.machine.load(built.program, built.marks)
        before = self.machine.retired
        sections = self.machine.run(limit=STEP_LIMIT)
        self.sections.append((built, sections))
        tensors = {tensor.name: tensor for tensor in self.trace.tensors}
        view = self.machine.memory.view
        assert self.logits is not None and self.tokens is not None  # noqa: S101, PT018 - as above
        expected = self.logits[0, step]
        logits = view(tensors["head"].address, 4 * len(expected)).view(np.float32)
        return ExecutedStep(
            step=step,
            token=int(view(tensors["token"].address, 8).view(np.int64)[0]),
            numpy_token=int(self.tokens[0, step]),
            logits_difference=float(np.abs(logits - expected).max()),
            instructions=self.machine.retired - before,
            cycles=sum(section.stack.total for section in sections),
        )


def _shares(
    executed: list[tuple[StepProgram, tuple[Section, ...]]], result: RunResult, new_tokens: int
) -> tuple[OpShare, ...]:
    """Gather sections by operation; those at no operation's address are the program's exit."""
    stacks: dict[str, list[Section]] = {}
    for built, sections in executed:
        for section in sections:
            at = built.ops.get(section.address)
            stacks.setdefault(PROGRAM_EXIT if at is None else at.op.name, []).append(section)
    predicted: dict[str, list[CycleStack]] = {}
    for row in result.ops:
        if 1 <= row.step <= new_tokens:
            predicted.setdefault(row.name, []).append(row.stack)
    return tuple(
        OpShare(
            name=name,
            count=len(sections),
            instructions=sum(section.instructions for section in sections),
            stack=CycleStack.sum(section.stack for section in sections),
            predicted=CycleStack.sum(predicted.get(name, ())),
        )
        for name, sections in stacks.items()
    )


def _misses(timing: CoreTiming, counts: HierarchyCounts) -> dict[str, int]:
    return {
        level.name: count.misses
        for level, count in zip(timing.caches.levels, counts.levels, strict=True)
    }
