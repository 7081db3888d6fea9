"""The sentence a person wants first: which machine is fastest, by how much, and what binds each."""

from __future__ import annotations

from collections.abc import Sequence

from reports.charts.style import fastest_first
from reports.quantities import percent, significant, times
from sim.result import PhaseRow, RunResult
from workloads.trace import Phase

TIE_SHARE = 0.01
"""Machines this close are called equally fast: no model of them is surer than that."""

_VERBS = {Phase.PREFILL: "reads the prompt", Phase.DECODE: "generates text"}


def headline(results: Sequence[RunResult]) -> str:
    """Say who is fastest at decode, and at prefill where that is another, and what binds each.

    Raises ValueError where there are no results to speak of.
    """
    if not results:
        raise ValueError("a headline needs at least one result")
    decode = _ranking(results, Phase.DECODE)
    prefill = _ranking(results, Phase.PREFILL)
    main, phase = (decode, Phase.DECODE) if decode else (prefill, Phase.PREFILL)
    sentences = [_winner(main, phase)]
    if decode and prefill and len(results) > 1:
        if len(_tied(decode)) == 1 and prefill[0][0] is decode[0][0]:
            sentences.append(f"It also leads in prefill{_lead(prefill)}.")
        else:
            sentences.append(_winner(prefill, Phase.PREFILL))
    sentences.append(_bindings(fastest_first(results), phase))
    return " ".join(sentences)


def _ranking(results: Sequence[RunResult], phase: Phase) -> list[tuple[RunResult, PhaseRow]]:
    """Machines with the phase, fastest first."""
    rows = [(result, row) for result in results if (row := result.phase(phase)) is not None]
    return sorted(rows, key=lambda pair: pair[1].tokens_per_second, reverse=True)


def _winner(ranking: Sequence[tuple[RunResult, PhaseRow]], phase: Phase) -> str:
    result, row = ranking[0]
    rate = f"{significant(row.tokens_per_second)} tokens/s"
    if len(ranking) == 1:
        return f"{result.title} {_VERBS[phase]} at {rate} ({phase})."
    tied = _tied(ranking)
    if len(tied) > 1:
        names = f"{', '.join(tied[:-1])} and {tied[-1]}"
        return f"{names} are equally fast in {phase}: {rate}, within {percent(TIE_SHARE)}."
    return f"{result.title} {_VERBS[phase]} fastest, at {rate} in {phase}{_lead(ranking)}."


def _tied(ranking: Sequence[tuple[RunResult, PhaseRow]]) -> list[str]:
    best = ranking[0][1].tokens_per_second
    return [
        result.title for result, row in ranking if row.tokens_per_second >= best * (1 - TIE_SHARE)
    ]


def _lead(ranking: Sequence[tuple[RunResult, PhaseRow]]) -> str:
    """Say how many times as fast as the next the first is."""
    (_, best), (next_result, second) = ranking[:2]
    if len(_tied(ranking)) > 1:
        return f", level with {next_result.title}"
    ratio = best.tokens_per_second / second.tokens_per_second
    return f", {times(ratio)} the next, {next_result.title}"


def _bindings(results: Sequence[RunResult], phase: Phase) -> str:
    rows = [(result, row) for result in results if (row := result.phase(phase)) is not None]
    parts = [
        f"{result.title} by {row.binds} ({percent(row.bound_share)} of its cycles)"
        if number == 0
        else f"{result.title} by {row.binds} ({percent(row.bound_share)})"
        for number, (result, row) in enumerate(rows)
    ]
    return f"What binds {phase}: {'; '.join(parts)}."
