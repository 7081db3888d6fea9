"""The controller of one DRAM channel: the readable reference, from event to event."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from sim.clock import DeadlockError
from sim.errors import SpecError
from sim.memory.dram.device import Command, DramDevice
from sim.memory.dram.requests import (
    CONFLICT,
    FORWARDED,
    HIT,
    MISS,
    NEVER,
    WAITING,
    DramResult,
    Requests,
)
from sim.memory.dram.timing import CommandTiming


class PagePolicy(StrEnum):
    """What becomes of a row after an access."""

    OPEN = "open"
    """It stays open until another row is wanted or the bank is refreshed."""
    CLOSED = "closed"
    """The access closes it, unless another waiting request wants it."""


class Refresh(StrEnum):
    """How cells are kept."""

    NONE = "none"
    ALL_BANK = "all-bank"
    PER_BANK = "per-bank"


class Stop(StrEnum):
    """When a run ends."""

    SERVED = "served"
    """With the last data."""
    ACCEPTED = "accepted"
    """When the queue takes the last request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ControllerSpec:
    """What a controller is built of, and how it chooses."""

    read_queue: int = 32
    write_queue: int = 32
    write_high_percent: int = 80
    """Writes go first once more than this share of their queue is taken."""
    write_low_percent: int = 20
    """Reads go first again once less than this share is."""
    page: PagePolicy = PagePolicy.OPEN
    refresh: Refresh = Refresh.ALL_BANK
    stop: Stop = Stop.SERVED

    def __post_init__(self) -> None:
        if min(self.read_queue, self.write_queue) < 1:
            raise SpecError("a DRAM controller needs a queue of one request or more")
        if not 0 <= self.write_low_percent <= self.write_high_percent <= 100:
            raise SpecError("write_low_percent to write_high_percent should lie within 0 to 100")


def check_refresh(device: DramDevice, spec: ControllerSpec) -> None:
    """Raise SpecError where a standard has no refresh of single banks."""
    if spec.refresh is Refresh.PER_BANK and not device.per_bank_refresh:
        raise SpecError(f"{device.name} cannot refresh per bank; take all-bank or none")


@dataclass(slots=True)
class _Request:
    """A request on its way."""

    index: int
    bank: int
    row: int
    transfer: int
    write: bool


@dataclass(slots=True)
class _Choice:
    """A command that can be issued now."""

    command: Command
    bank: int
    queue: list[_Request]
    request: _Request | None
    """None for a refresh."""


FOREVER = 2**62


class DramController:
    """First-ready, first-come-first-served over one channel.

    Each tick takes one request into the queue, then issues one command on each command bus: a
    column access of a row that was opened for it; else the oldest refresh, which holds all else
    back; else the oldest request of the reads, or of the writes in write mode, whose command is
    ready. A row that was opened for a request is not closed before its access. Ticks at which
    nothing can happen are passed over.

    Models: read and write queues with back-pressure; write mode between two marks; reads served
    from waiting writes, and equal writes merged; open or closed page; refresh by scope or by bank.
    Ignores: priorities of sources, starvation limits, power-down, postponed refreshes; the path
    between the controller and who asks.
    Source: Rixner et al., Memory Access Scheduling, ISCA 2000 (first-ready order). Followed of
    Ramulator 2.1: queue sizes, marks, an activated request's precedence, refreshes blocking the
    channel, hits counted at the first command. Not followed: its mean latency, which divides the
    latency of reads that are done by all reads issued.
    """

    def __init__(self, device: DramDevice, spec: ControllerSpec) -> None:
        check_refresh(device, spec)
        self.device = device
        self.spec = spec
        self.timing = CommandTiming(device)
        self.commands: list[tuple[int, int, int]] = []
        """Tick, command and bank of all that was issued."""
        self._rows: list[int | None] = [None] * device.banks
        self._reads: list[_Request] = []
        self._writes: list[_Request] = []
        self._opened: list[_Request] = []
        """Their row was opened for them; they left their queue."""
        self._refreshes: list[tuple[Command, int]] = []
        self._write_mode = False
        self._tick = 0
        self._wake = FOREVER
        per_bank = spec.refresh is Refresh.PER_BANK
        self._interval = (
            device.bank_refresh_interval_ticks if per_bank else device.refresh_interval_ticks
        )
        self._next_refresh = FOREVER if spec.refresh is Refresh.NONE else self._interval
        self._refresh_turn = 0

    def run(self, requests: Requests) -> DramResult:
        """Serve one list of requests; a controller runs once."""
        count = len(requests)
        self._accepted = np.full(count, NEVER, dtype=np.int64)
        self._done = np.full(count, NEVER, dtype=np.int64)
        self._outcomes = np.full(count, WAITING, dtype=np.int64)
        offered = 0
        while True:
            due = offered < count and requests.ticks[offered] <= self._tick
            took = due and self._accept(requests, offered)
            offered += took
            if offered == count and self.spec.stop is Stop.ACCEPTED:
                break
            if offered == count and not (self._reads or self._writes or self._opened):
                break
            self._tick += 1
            issued = self._step()
            if not issued and not took and self.device.may_start(Command.ACT, self._tick):
                self._pass_over(FOREVER if due or offered == count else requests.ticks[offered])
        ended = self._tick
        if self.spec.stop is Stop.SERVED:
            ended = max(ended, int(self._done.max(initial=0)))
        return DramResult(
            ticks=ended,
            tick_femtoseconds=self.device.tick_femtoseconds,
            transfer_bytes=self.device.transfer_bytes,
            peak_bytes_per_second=self.device.peak_bytes_per_second,
            writes=requests.writes,
            accepted=self._accepted,
            done=self._done,
            outcomes=self._outcomes,
            commands=np.array(self.commands, dtype=np.int64).reshape(-1, 3),
        )

    def _pass_over(self, next_offer: int) -> None:
        """Go on to just before something can happen."""
        until = min(self._wake, self._next_refresh)
        if min(until, next_offer) >= FOREVER:
            waiting = len(self._reads) + len(self._writes) + len(self._opened)
            raise DeadlockError(f"tick {self._tick}: {waiting} DRAM requests wait for no command")
        self._tick = max(self._tick, min(until - 1, int(next_offer)))

    def _accept(self, requests: Requests, index: int) -> bool:
        """Take a request in, unless its queue is full."""
        transfer, write = int(requests.transfers[index]), bool(requests.writes[index])
        if any(waiting.transfer == transfer for waiting in self._writes):
            self._outcomes[index] = FORWARDED
            self._done[index] = self._tick + 1
        else:
            queue = self._writes if write else self._reads
            if len(queue) == (self.spec.write_queue if write else self.spec.read_queue):
                return False
            bank, row = int(requests.banks[index]), int(requests.rows[index])
            queue.append(_Request(index, bank, row, transfer, write))
        self._accepted[index] = self._tick
        return True

    def _step(self) -> bool:
        """Issue what this tick allows; return whether there was anything."""
        self._wake = FOREVER
        if self._tick == self._next_refresh:
            self._next_refresh += self._interval
            self._refreshes.extend(self._due_refreshes())
        issued = False
        for columns in (None,) if self.device.command_buses == 1 else (True, False):
            choice = self._choose(columns)
            if choice is not None:
                self._issue(choice)
                issued = True
        return issued

    def _due_refreshes(self) -> Iterator[tuple[Command, int]]:
        if self.spec.refresh is Refresh.PER_BANK:
            yield Command.REFB, self._refresh_turn
            self._refresh_turn = (self._refresh_turn + 1) % self.device.banks
        else:
            for scope in range(self.device.scopes):
                yield Command.REF, scope * self.device.banks_per_scope

    def _choose(self, columns: bool | None) -> _Choice | None:
        """Return what the column bus, the row bus or (None) the only bus shall do now."""
        choice = self._first_ready(self._opened, columns)
        if choice is None and self._refreshes:
            return self._refresh_step(columns)
        if choice is None:
            self._set_write_mode()
            choice = self._first_ready(self._writes if self._write_mode else self._reads, columns)
        return choice

    def _first_ready(self, queue: list[_Request], columns: bool | None) -> _Choice | None:
        ready: _Choice | None = None
        oldest = FOREVER
        for request in queue:
            command = self._next_command(request)
            bank = request.bank
            if not self._fits(command, columns) or self._closes_opened(command, bank):
                continue
            if request.index < oldest and self._can_issue(command, bank):
                ready = _Choice(command, bank, queue, request)
                oldest = request.index
        return ready

    def _fits(self, command: Command, columns: bool | None) -> bool:
        return columns is None or self.device.column_bus(command) == columns

    def _can_issue(self, command: Command, bank: int) -> bool:
        earliest = self.timing.earliest(command, bank)
        if earliest > self._tick:
            self._wake = min(self._wake, earliest)
        return earliest <= self._tick and self.device.may_start(command, self._tick)

    def _next_command(self, request: _Request) -> Command:
        row = self._rows[request.bank]
        if row is None:
            return Command.ACT
        if row != request.row:
            return Command.PRE
        return Command.WR if request.write else Command.RD

    def _closes_opened(self, command: Command, bank: int) -> bool:
        """Whether a command would close a row that still waits for the access it was opened for."""
        if command is Command.PRE:
            return any(request.bank == bank for request in self._opened)
        if command is Command.PREA:
            size = self.device.banks_per_scope
            return any(request.bank // size == bank // size for request in self._opened)
        return False

    def _refresh_step(self, columns: bool | None) -> _Choice | None:
        command, bank = self._refreshes[0]
        if command is Command.REF:
            scope = self._rows[bank : bank + self.device.banks_per_scope]
            if any(row is not None for row in scope):
                command = Command.PREA
        elif self._rows[bank] is not None:
            command = Command.PRE
        if not self._fits(command, columns) or self._closes_opened(command, bank):
            return None
        return _Choice(command, bank, [], None) if self._can_issue(command, bank) else None

    def _set_write_mode(self) -> None:
        spec, full = self.spec, 100 * len(self._writes)
        if not self._write_mode:
            above = full > spec.write_high_percent * spec.write_queue
            self._write_mode = above or not self._reads
        elif full < spec.write_low_percent * spec.write_queue and self._reads:
            self._write_mode = False

    def _issue(self, choice: _Choice) -> None:
        """Issue a command and move its request on."""
        request, bank = choice.request, choice.bank
        command = choice.command if request is None else self._with_precharge(choice, request)
        if request is not None and self._outcomes[request.index] == WAITING:
            found = {Command.ACT: MISS, Command.PRE: CONFLICT}
            self._outcomes[request.index] = found.get(command, HIT)
        self.timing.issue(command, bank, self._tick)
        self.commands.append((self._tick, int(command), bank))
        if command is Command.PREA:
            size = self.device.banks_per_scope
            self._rows[bank : bank + size] = [None] * size
        elif command in (Command.PRE, Command.RDA, Command.WRA):
            self._rows[bank] = None
        if request is None:
            if command in (Command.REF, Command.REFB):
                self._refreshes.pop(0)
        elif command is Command.ACT:
            self._rows[bank] = request.row
            choice.queue.remove(request)
            self._opened.append(request)
        elif command is not Command.PRE:
            choice.queue.remove(request)
            data = self.device.write_ticks if request.write else self.device.read_ticks
            self._done[request.index] = self._tick + data

    def _with_precharge(self, choice: _Choice, request: _Request) -> Command:
        """Return an access's command, with auto-precharge where the policy asks for it."""
        command = choice.command
        closing = {Command.RD: Command.RDA, Command.WR: Command.WRA}.get(command)
        if self.spec.page is PagePolicy.OPEN or closing is None:
            return command
        others = (*self._reads, *self._writes, *self._opened)
        wanted = any(
            other is not request and (other.bank, other.row) == (request.bank, request.row)
            for other in others
        )
        if wanted or self.timing.earliest(closing, request.bank) > self._tick:
            return command
        return closing


def simulate(device: DramDevice, requests: Requests, spec: ControllerSpec) -> DramResult:
    """Run the readable reference over one channel's requests; its commands are kept."""
    return DramController(device, spec).run(requests)
