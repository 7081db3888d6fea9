"""How fast numpy decodes SmolLM2, what tracing costs on top, and what a large trace takes.

python benchmarks/decode.py

Times are CPU seconds. Linear algebra runs on one thread: the variables below are read when numpy
is first imported.
"""

import os

for variable in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ[variable] = "1"

import tracemalloc
from collections.abc import Callable
from functools import partial
from time import process_time
from typing import Any

import numpy as np
from timing import Figures

from workloads import Model, ModelError, generate, load_model, ops
from workloads.array import Array
from workloads.decoding.request import Request, checked_request
from workloads.packages import SMOLLM2, package_file
from workloads.smollm2 import FILE
from workloads.tracer import Tracer

PROMPT, STEPS, RUNS = "The capital of France is", 12, 5
GPT3_PROMPT_TOKENS, GPT3_DECODE_STEPS = 2048, 128


Formula = Callable[[], Any]


def decode_seconds(request: Request, formulas: list[Formula] | None = None) -> float:
    """Seconds of the decode passes alone, their choices included; notes their `formulas`."""
    tracer = request.tracer()
    session = request.session(tracer)
    ids = ops.argmax(session.step(request.prompt(tracer)), name="choose", buffer="token")
    if formulas is not None:
        tracer.replays = False
        note_formulas(tracer, formulas)
    start = process_time()
    for step in range(1, STEPS + 1):
        tracer.begin_step(step)
        ids = ops.argmax(session.step(ids), name="choose", buffer="token")
    return process_time() - start


def note_formulas(tracer: Tracer, formulas: list[Formula]) -> None:
    """Make a tracer put each operation's numpy formula, with its numbers, on a list too."""
    record = tracer.record

    def noting(*, compute: Callable[..., Any], **given: Any) -> Array:
        def noted(*values: Any) -> Any:
            formulas.append(partial(compute, *values))
            return compute(*values)

        return record(compute=noted, **given)

    tracer.record = noting  # type: ignore[method-assign] # listens to every operation


def formula_seconds(request: Request) -> float:
    """Seconds of the decode passes' numpy formulas by themselves, one after another."""
    formulas: list[Formula] = []
    decode_seconds(request, formulas)
    times = []
    for _ in range(RUNS):
        start = process_time()
        for formula in formulas:
            formula()
        times.append(process_time() - start)
    return min(times)


def copy_bytes_per_second(count: int) -> float:
    """Bytes that numpy reads a second while it copies `count` of them, the best of several runs."""
    source, target = np.ones(count // 4, np.float32), np.empty(count // 4, np.float32)
    times = []
    for _ in range(RUNS):
        start = process_time()
        np.copyto(target, source)
        times.append(process_time() - start)
    return count / min(times)


def sum_bytes_per_second(count: int) -> float:
    """Bytes that numpy reads a second in a dot product of one row: what decoding can reach."""
    matrix, row = np.ones((count // 4 // 1024, 1024), np.float32), np.ones(1024, np.float32)
    times = []
    for _ in range(RUNS):
        start = process_time()
        matrix @ row
        times.append(process_time() - start)
    return matrix.nbytes / min(times)


def peak_bytes(model: Model, tokens: int) -> int:
    """Most bytes allocated at once while a prompt of `tokens` is prefilled, weights apart."""
    request = checked_request(model, prompt_tokens=tokens, new_tokens=1, max_context=tokens + 1)
    weights = model.weights(request.config, "float32")
    object.__setattr__(model, "weights", lambda *_: weights)  # decoded once, before
    generate(model, prompt_tokens=1, new_tokens=1, max_context=tokens + 1)
    tracemalloc.start()
    generate(model, prompt_tokens=tokens, new_tokens=1, max_context=tokens + 1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def gpt3_seconds() -> float:
    """Seconds to trace GPT-3 175B by shape, its context stretched to hold prompt and answer."""
    times = []
    for _ in range(3):
        start = process_time()
        generate(
            load_model("gpt3-175b"),
            prompt_tokens=GPT3_PROMPT_TOKENS,
            new_tokens=GPT3_DECODE_STEPS + 1,
            execute=False,
            dtype="bfloat16",
            max_context=GPT3_PROMPT_TOKENS + GPT3_DECODE_STEPS + 1,
        )
        times.append(process_time() - start)
    return min(times)


def main() -> None:
    """Print the figures; each is the best of several runs, on one thread."""
    figures = Figures("speed of decoding in numpy")
    try:
        package_file(SMOLLM2, FILE)
    except ModelError as error:
        print(f"decoding in numpy is not timed: {error}, or make models")
        return
    model = load_model("smollm2-135m-instruct")
    request = checked_request(model, model.encode(PROMPT), new_tokens=STEPS + 1, max_context=64)
    weights = model.weights(request.config, "float32")
    object.__setattr__(model, "weights", lambda *_: weights)  # decoded once for all runs
    weight_bytes = model.parameter_count * 4
    seconds = min(decode_seconds(request) for _ in range(RUNS)) / STEPS
    figures.show("SmolLM2 135M decoded in numpy, float32, one thread", 1 / seconds, "tokens/s")
    figures.show("weights read meanwhile", weight_bytes / seconds / 1e9, "GB/s")
    figures.show(
        "a numpy copy of as many bytes, read", copy_bytes_per_second(weight_bytes) / 1e9, "GB/s"
    )
    figures.show(
        "a numpy product of one row, read", sum_bytes_per_second(weight_bytes) / 1e9, "GB/s"
    )
    formulas = formula_seconds(request) / STEPS
    figures.show("the numpy formulas by themselves, of that time", 100 * formulas / seconds, "%")
    figures.show("all else (tracing), of the formulas' time", 100 * (seconds / formulas - 1), "%")
    steps = f"{GPT3_PROMPT_TOKENS}-token prefill, {GPT3_DECODE_STEPS} decode steps"
    figures.show(f"GPT-3 175B traced by shape, {steps}", gpt3_seconds(), "s")
    figures.show(
        "peak memory of a 256-token prefill, weights apart", peak_bytes(model, 256) / 2**20, "MiB"
    )
    figures.finish()


if __name__ == "__main__":
    main()
