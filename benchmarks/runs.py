"""How long people wait: the embedded model on every machine, and GPT-3 on one.

python benchmarks/runs.py
"""

from pathlib import Path
from tempfile import TemporaryDirectory

from timing import Figures, best_of

from reports.compare import DEFAULT_MACHINES, Request, compare, write_comparison
from sim.machine import load_machine
from sim.run import run
from workloads import Trace, generate, load_model

PROMPT, NEW_TOKENS = "Alice was beginning to", 40
GPT3_PROMPT_TOKENS, GPT3_DECODE_STEPS = 2048, 128


def embedded(*, execute: bool) -> Trace:
    """Generate text with the embedded model."""
    model = load_model("glassllm-en")
    return generate(model, model.encode(PROMPT), new_tokens=NEW_TOKENS, execute=execute).trace


def gpt3() -> Trace:
    """Trace GPT-3 175B without numbers, its context stretched to hold prompt and answer."""
    return generate(
        load_model("gpt3-175b"),
        prompt_tokens=GPT3_PROMPT_TOKENS,
        new_tokens=GPT3_DECODE_STEPS + 1,
        execute=False,
        dtype="bfloat16",
        max_context=GPT3_PROMPT_TOKENS + GPT3_DECODE_STEPS + 1,
    ).trace


def main() -> None:
    """Print seconds for each piece of work; machines are built anew, so nothing is remembered."""
    figures = Figures("speed of runs")
    what = f"glassllm-en executed and traced, {NEW_TOKENS} tokens"
    figures.show(what, best_of(3, lambda: embedded(execute=True)), "s")
    trace = embedded(execute=True)
    for name in DEFAULT_MACHINES:
        seconds = best_of(2, lambda name=name: run(trace, load_machine(name)))
        figures.show(f"its trace on `{name}`", seconds, "s")
    figures.show("`tokenclock compare`, without start-up", best_of(2, whole_comparison), "s")
    steps = f"{GPT3_PROMPT_TOKENS}-token prefill, {GPT3_DECODE_STEPS} decode steps"
    figures.show(f"GPT-3 175B traced by shape, {steps}", best_of(2, gpt3), "s")
    # No single chip can hold GPT-3: its memory is made large enough, everything else is as it is.
    room = {"memory.capacity_bytes": "1000 GB"}
    large = gpt3()
    for name in ("gpu-a100-sxm-80gb", "tpu-v4"):
        seconds = best_of(2, lambda name=name: run(large, load_machine(name, overrides=room)))
        figures.show(f"its run on `{name}`, given the room", seconds, "s")
    figures.finish()


def whole_comparison() -> None:
    """Do what `tokenclock compare` does, charts and page included."""
    with TemporaryDirectory() as folder:
        write_comparison(compare(Request()), Path(folder))


if __name__ == "__main__":
    main()
