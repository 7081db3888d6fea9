"""Speculative decoding: a small model drafts tokens, the large one judges them in one pass.

A round: the draft goes on by N tokens, one pass each; the target takes the pending token and those
N in one pass, which gives what it would have chosen at each; those before the first refusal stay,
and the target's own token follows. Both caches then forget what was refused. Greedy output is that
of the target alone; sampled output is distributed as the target's.

How many tokens a round accepts depends on the data, and so does the shape of the rounds after it: a
run without numbers is told the pattern.

Source: Leviathan et al. 2023, Fast Inference from Transformers via Speculative Decoding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from workloads import ops
from workloads.array import Array, Shape, Values
from workloads.config import ModelError
from workloads.decoding.answer import GREEDY
from workloads.decoding.request import Request, checked_request, decoder_config
from workloads.decoding.sampling import Sampling, choose, filtered
from workloads.decoding.session import Session
from workloads.executable import check_executable
from workloads.ops import sampling, speculation
from workloads.prompts import Prompt
from workloads.trace import Role, Trace
from workloads.zoo import Model

DRAFT = "draft"  # begins the names of its tensors and operations
ROUND, CHANCES = "round.tokens", "round.chances"


@dataclass(frozen=True, kw_only=True)
class Round:
    """One judgement of the target."""

    drafted: int
    accepted: int


@dataclass(frozen=True, kw_only=True)
class Speculation:
    """What came of a run: step 0 of the trace is the prefill, each later step a round.

    Where one token is missing at the end, the target's plain decode pass is the last step.
    """

    trace: Trace
    prompt_ids: Values | None
    token_ids: Values | None
    """[1, new tokens]; None where nothing was executed."""
    rounds: tuple[Round, ...]

    @property
    def accepted(self) -> tuple[int, ...]:
        """Accepted tokens of each round: the pattern that a run without numbers is told."""
        return tuple(each.accepted for each in self.rounds)

    @property
    def acceptance(self) -> tuple[tuple[int, int], ...]:
        """For each place in a round: how often a token was judged there, and how often accepted.

        A token after a refused one is not judged.
        """
        longest = max((each.drafted for each in self.rounds), default=0)
        return tuple(
            (
                sum(place < each.drafted and place <= each.accepted for each in self.rounds),
                sum(place < each.accepted for each in self.rounds),
            )
            for place in range(longest)
        )


def speculate(
    model: Model,
    draft: Model,
    prompt_ids: Prompt | None = None,
    *,
    prompt_tokens: int | None = None,
    new_tokens: int,
    draft_tokens: int = 4,
    settings: Sampling = GREEDY,
    accepted: Sequence[int] | None = None,
    execute: bool = True,
    dtype: str | None = None,
    max_context: int | None = None,
) -> Speculation:
    """Generate `new_tokens` tokens for one prompt, `draft` drafting up to `draft_tokens` a round.

    `accepted` is the pattern of a run without numbers: how many tokens each round accepts.
    ModelError says what is wrong with a request.
    """
    if draft_tokens < 1:
        raise ModelError(f"draft_tokens is {draft_tokens}; draft at least 1")
    if execute == (accepted is not None):
        raise ModelError("give `accepted` where execute is False, and only there: data decides it")
    request = checked_request(
        model,
        prompt_ids,
        prompt_tokens=prompt_tokens,
        new_tokens=new_tokens,
        execute=execute,
        dtype=dtype,
        seed=settings.seed,
        max_context=max_context,
    )
    return _Speculator(request, draft, draft_tokens, settings, accepted).run()


class _Speculator:
    """The two models at work."""

    def __init__(
        self,
        request: Request,
        draft: Model,
        draft_tokens: int,
        settings: Sampling,
        accepted: Sequence[int] | None,
    ) -> None:
        config = decoder_config(draft).with_context(request.config.max_position_embeddings)
        _check_draft(request, draft)
        self.request = request
        self.draft_tokens = draft_tokens
        self.settings = settings
        self.random = np.random.default_rng(settings.seed)
        self.pattern = None if accepted is None else list(accepted)
        self.tracer = request.tracer(draft=draft.name)
        self.target = request.session(self.tracer)
        self.draft = Session(self.tracer, draft, config, batch=1, dtype=request.dtype, name=DRAFT)
        self.rounds: list[Round] = []

    def run(self) -> Speculation:
        prompt = self.request.prompt(self.tracer)  # [1, T]
        self._declare_round()
        self.tracer.begin_step(0)
        self.draft.extend(prompt)
        pending = self._first(self.target.step(prompt))  # [1, 1]
        tokens, written = _numbers(pending), 1
        while written < self.request.new_tokens:
            self.tracer.begin_step(len(self.rounds) + 1)
            count = min(self.draft_tokens, self.request.new_tokens - written - 1)
            if not count:  # one token is missing: the target's alone
                pending = choose(self.target.step(pending), self.settings, self.random)
                tokens += _numbers(pending)
                break
            self._draft(pending, count)
            verdict = self._verdict(count)  # [1, 2]
            accepted = self._accepted(verdict, count)
            self._forget(count - accepted)
            pending = self._tokens(1, 2)  # [1, 1]
            tokens += [*_numbers(self._tokens(2, 2 + accepted)), *_numbers(pending)]
            written += accepted + 1
        if self.pattern:
            raise ModelError(f"the accepted pattern has {len(self.pattern)} rounds too many")
        return Speculation(
            trace=self.tracer.finish(),
            prompt_ids=self.request.prompt_ids,
            token_ids=np.array([tokens]) if self.request.execute else None,
            rounds=tuple(self.rounds),
        )

    def _declare_round(self) -> None:
        """Declare what a round writes in place: tokens and, where sampled, their chances."""
        shape = (1, 2 + self.draft_tokens)
        self._declare(ROUND, shape, ops.TOKEN_DTYPE)
        if not self.settings.greedy:
            vocabulary = self.request.config.vocab_size
            self._declare(CHANCES, (self.draft_tokens, vocabulary), self.request.dtype)

    def _declare(self, name: str, shape: Shape, dtype: str) -> None:
        values = np.zeros(shape, dtype) if self.request.execute else None
        self.tracer.declare(
            name,
            Role.ACTIVATION,
            shape,
            dtype=dtype,
            values=None if values is None else lambda _: values,
        )

    def _tokens(self, start: int, end: int) -> Array:
        """Part of the round's numbers: how many are accepted, the pending token, the drafted."""
        return self.tracer.get(ROUND).view(
            (1, end - start), offset_elements=start, pick=lambda v: v[:, start:end]
        )

    def _drafted_chances(self, start: int, end: int) -> Array:
        """Return what drafted tokens start to end were drawn from: [end - start, V]."""
        vocabulary = self.request.config.vocab_size
        return self.tracer.get(CHANCES).view(
            (end - start, vocabulary),
            offset_elements=start * vocabulary,
            pick=lambda v: v[start:end],
        )

    def _draft(self, pending: Array, count: int) -> None:
        """Draft tokens after the pending one [1, 1], one pass each."""
        missing = self.target.position - self.draft.position
        if missing:  # all were accepted: the last of them was drafted, but never taken in
            self.draft.extend(
                self._tokens(1 + self.rounds[-1].drafted, 2 + self.rounds[-1].drafted)
            )
        ids = pending  # [1, 1]
        for place in range(count):
            logits = self.draft.step(ids)  # [1, V]
            slot = self._tokens(2 + place, 3 + place)  # [1, 1]
            into = None if self.settings.greedy else self._drafted_chances(place, place + 1)
            with self.tracer.scope(DRAFT):
                if into is None:
                    ids = ops.argmax(logits, name="choose", into=slot)
                else:
                    chances = self._chances(logits, into)  # [1, V]
                    ids = sampling.draw(chances, random=self.random, name="choose", into=slot)

    def _verdict(self, count: int) -> Array:
        """Judge the drafted tokens: [1, 2], how many are accepted and the token after them."""
        ids = self._tokens(1, 2 + count)  # [1, N + 1]
        logits = self.target.logits(self.target.extend(ids))  # [1, N + 1, V]
        logits = logits.view(logits.shape[1:])  # [N + 1, V]
        drafted, into = self._tokens(2, 2 + count), self._tokens(0, 2)
        if self.settings.greedy:
            return speculation.accept_equal(logits, drafted, into=into)
        return speculation.accept_likely(
            self._chances(logits),  # [N + 1, V]
            self._drafted_chances(0, count),  # [N, V]
            drafted,
            random=self.random,
            into=into,
        )

    def _first(self, logits: Array) -> Array:
        """Choose the token after the prompt, into its place in the round: [1, V] -> [1, 1]."""
        if self.settings.greedy:
            return ops.argmax(logits, name="choose", into=self._tokens(1, 2))
        chances = self._chances(logits)
        return sampling.draw(chances, random=self.random, name="choose", into=self._tokens(1, 2))

    def _chances(self, logits: Array, into: Array | None = None) -> Array:
        logits = filtered(logits, self.settings, name="choose")
        return sampling.probabilities(logits, name="chances", into=into)

    def _accepted(self, verdict: Array, count: int) -> int:
        """How many are accepted: by the numbers, or by the pattern."""
        if verdict.values is not None:
            accepted = int(verdict.values[0, 0])
        elif not self.pattern:
            raise ModelError(f"the accepted pattern ends after {len(self.rounds)} rounds; go on")
        elif not 0 <= (accepted := self.pattern.pop(0)) <= count:
            number = len(self.rounds) + 1
            raise ModelError(f"round {number} accepts {accepted} of {count} drafted tokens")
        self.rounds.append(Round(drafted=count, accepted=accepted))
        return accepted

    def _forget(self, refused: int) -> None:
        """Roll both caches back to the last accepted token."""
        self.target.rollback(self.target.position - refused)
        self.draft.rollback(min(self.draft.position, self.target.position))


def _numbers(token: Array) -> list[int]:
    """Numbers of tokens [1, t]; none where nothing was executed."""
    return [] if token.values is None else token.values[0].tolist()


def _check_draft(request: Request, draft: Model) -> None:
    ours, theirs = request.config.vocab_size, decoder_config(draft).vocab_size
    if ours != theirs:
        raise ModelError(
            f"{draft.name} has {theirs} tokens, {request.model.name} {ours}; a draft must have "
            f"the same vocabulary"
        )
    if request.execute:
        check_executable(draft.name, decoder_config(draft), request.dtype)
