"""The controller of one DRAM channel: the readable reference, from event to event."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sim.clock import DeadlockError
from sim.memory.dram.device import Command, DramDevice
from sim.memory.dram.queues import Access, RequestQueues
from sim.memory.dram.refresh import RefreshSchedule
from sim.memory.dram.requests import (
    CONFLICT,
    FORWARDED,
    HIT,
    MISS,
    WAITING,
    DramResult,
    Requests,
)
from sim.memory.dram.spec import FOREVER, ControllerSpec, PagePolicy, Stop
from sim.memory.dram.timing import CommandTiming


@dataclass(slots=True)
class _Choice:
    """A command that can be issued now."""

    command: Command
    bank: int
    queue: list[Access]
    access: Access | None
    """None for a refresh."""


def _nobody(_: Access) -> None:
    """Tell nobody that an access was served."""


class DramController:
    """First-ready, first-come-first-served over one channel.

    Each tick takes one request into the queue, then issues one command on each command bus: a
    column access of a row that was opened for it; else the oldest refresh, which holds all else
    back; else the oldest request of the reads, or of the writes in write mode, whose command is
    ready. A row that was opened for a request is not closed before its access. Whoever runs it
    calls `accept` and `step` in turn, and passes over the ticks before `next_tick`.

    Models: read and write queues with back-pressure; write mode between two marks; reads served
    from waiting writes, and equal writes merged; open or closed page; refresh by scope or by bank.
    Ignores: priorities of sources, starvation limits, power-down, postponed refreshes; the path
    between the controller and who asks.
    Source: Rixner et al., Memory Access Scheduling, ISCA 2000 (first-ready order). Followed of
    Ramulator 2.1: queue sizes, marks, an activated request's precedence, refreshes blocking the
    channel, hits counted at the first command. Not followed: its mean latency, which divides the
    latency of reads that are done by all reads issued.
    """

    def __init__(
        self,
        device: DramDevice,
        spec: ControllerSpec,
        on_served: Callable[[Access], None] = _nobody,
    ) -> None:
        """Start at tick 0; `on_served` hears of each access that a column command serves."""
        self.device = device
        self.spec = spec
        self.tick = 0
        self.timing = CommandTiming(device)
        self.commands: list[tuple[int, int, int]] = []
        """Tick, command and bank of all that was issued."""
        self._on_served = on_served
        self._rows: list[int | None] = [None] * device.banks
        self._queues = RequestQueues(spec)
        self._refreshes = RefreshSchedule(device, spec)
        self._wake = FOREVER
        self._quiet = False

    @property
    def waiting(self) -> int:
        """Accesses taken whose data was not asked of the DRAM yet."""
        return len(self._queues)

    def accept(self, access: Access) -> bool:
        """Take an access in at this tick, unless its queue is full."""
        if self._queues.holds_write_of(access.transfer):
            access.outcome = FORWARDED
            access.done = self.tick + 1
        elif not self._queues.take(access):
            return False
        access.accepted = self.tick
        return True

    def step(self, *, took: bool) -> None:
        """Go to the next tick and issue what it allows; `took`: an access came in at the last."""
        self.tick += 1
        self._wake = FOREVER
        self._refreshes.tick(self.tick)
        issued = False
        for columns in (None,) if self.device.command_buses == 1 else (True, False):
            choice = self._choose(columns)
            if choice is not None:
                self._issue(choice)
                issued = True
        self._quiet = not issued and not took and self.device.may_start(Command.ACT, self.tick)

    def next_tick(self, next_offer: int) -> int:
        """Return the tick to pass on to; the next after it is the first that can issue anything.

        It is not past `next_offer`. DeadlockError where there is nothing to come.
        """
        if not self._quiet:
            return self.tick
        until = min(self._wake, self._refreshes.next_tick)
        if min(until, next_offer) >= FOREVER:
            waiting = f"{self.waiting} DRAM requests wait for no command"
            raise DeadlockError(f"tick {self.tick}: {waiting}")
        return max(self.tick, min(until - 1, next_offer))

    def _choose(self, columns: bool | None) -> _Choice | None:
        """Return what the column bus, the row bus or (None) the only bus shall do now."""
        choice = self._first_ready(self._queues.opened, columns)
        if choice is None and self._refreshes.pending:
            return self._refresh_step(columns)
        if choice is None:
            choice = self._first_ready(self._queues.served_now(), columns)
        return choice

    def _first_ready(self, queue: list[Access], columns: bool | None) -> _Choice | None:
        ready: _Choice | None = None
        oldest = FOREVER
        for access in queue:
            command = self._next_command(access)
            bank = access.bank
            if not self._fits(command, columns) or self._closes_opened(command, bank):
                continue
            if access.age < oldest and self._can_issue(command, bank):
                ready = _Choice(command, bank, queue, access)
                oldest = access.age
        return ready

    def _fits(self, command: Command, columns: bool | None) -> bool:
        return columns is None or self.device.column_bus(command) == columns

    def _can_issue(self, command: Command, bank: int) -> bool:
        earliest = self.timing.earliest(command, bank)
        if earliest > self.tick:
            self._wake = min(self._wake, earliest)
        return earliest <= self.tick and self.device.may_start(command, self.tick)

    def _next_command(self, access: Access) -> Command:
        row = self._rows[access.bank]
        if row is None:
            return Command.ACT
        if row != access.row:
            return Command.PRE
        return Command.WR if access.write else Command.RD

    def _closes_opened(self, command: Command, bank: int) -> bool:
        """Whether a command would close a row that still waits for the access it was opened for."""
        size = {Command.PRE: 1, Command.PREA: self.device.banks_per_scope}.get(command, 0)
        return size > 0 and self._queues.opened_in(bank, bank + size)

    def _refresh_step(self, columns: bool | None) -> _Choice | None:
        command, bank = self._refreshes.pending[0]
        if command is Command.REF:
            scope = self._rows[bank : bank + self.device.banks_per_scope]
            if any(row is not None for row in scope):
                command = Command.PREA
        elif self._rows[bank] is not None:
            command = Command.PRE
        if not self._fits(command, columns) or self._closes_opened(command, bank):
            return None
        return _Choice(command, bank, [], None) if self._can_issue(command, bank) else None

    def _issue(self, choice: _Choice) -> None:
        """Issue a command and move its access on."""
        access, bank = choice.access, choice.bank
        command = choice.command if access is None else self._with_precharge(choice, access)
        self.timing.issue(command, bank, self.tick)
        self.commands.append((self.tick, int(command), bank))
        if command is Command.PREA:
            size = self.device.banks_per_scope
            self._rows[bank : bank + size] = [None] * size
        elif command in (Command.PRE, Command.RDA, Command.WRA):
            self._rows[bank] = None
        if access is not None:
            self._move_on(access, command, choice.queue)
        elif command in (Command.REF, Command.REFB):
            self._refreshes.pending.popleft()

    def _move_on(self, access: Access, command: Command, queue: list[Access]) -> None:
        if access.outcome == WAITING:
            access.outcome = {Command.ACT: MISS, Command.PRE: CONFLICT}.get(command, HIT)
        if command is Command.PRE:
            return
        queue.remove(access)
        if command is Command.ACT:
            self._rows[access.bank] = access.row
            self._queues.opened.append(access)
            return
        data = self.device.write_ticks if access.write else self.device.read_ticks
        access.done = self.tick + data
        self._on_served(access)

    def _with_precharge(self, choice: _Choice, access: Access) -> Command:
        """Return an access's command, with auto-precharge where the policy asks for it."""
        command = choice.command
        closing = {Command.RD: Command.RDA, Command.WR: Command.WRA}.get(command)
        if self.spec.page is PagePolicy.OPEN or closing is None:
            return command
        if self._queues.wants_same_row(access):
            return command
        return command if self.timing.earliest(closing, access.bank) > self.tick else closing


def simulate(device: DramDevice, requests: Requests, spec: ControllerSpec) -> DramResult:
    """Run the readable reference over one channel's requests; its commands are kept."""
    controller = DramController(device, spec)
    accesses = [
        Access(
            age=age,
            bank=int(requests.banks[age]),
            row=int(requests.rows[age]),
            transfer=int(requests.transfers[age]),
            write=bool(requests.writes[age]),
        )
        for age in range(len(requests))
    ]
    _serve(controller, accesses, [int(tick) for tick in requests.ticks])
    done = np.array([access.done for access in accesses], dtype=np.int64)
    ended = controller.tick
    if spec.stop is Stop.SERVED:
        ended = max(ended, int(done.max(initial=0)))
    return DramResult(
        ticks=ended,
        tick_femtoseconds=device.tick_femtoseconds,
        transfer_bytes=device.transfer_bytes,
        peak_bytes_per_second=device.peak_bytes_per_second,
        writes=requests.writes,
        accepted=np.array([access.accepted for access in accesses], dtype=np.int64),
        done=done,
        outcomes=np.array([access.outcome for access in accesses], dtype=np.int64),
        commands=np.array(controller.commands, dtype=np.int64).reshape(-1, 3),
    )


def _serve(controller: DramController, accesses: list[Access], ticks: list[int]) -> None:
    """Offer accesses in their order, each from its tick on, until the controller may stop."""
    early = controller.spec.stop is Stop.ACCEPTED
    count, offered = len(accesses), 0
    while True:
        due = offered < count and ticks[offered] <= controller.tick
        took = due and controller.accept(accesses[offered])
        offered += took
        if offered == count and (early or controller.waiting == 0):
            return
        controller.step(took=took)
        known = offered < count and not due
        controller.tick = controller.next_tick(ticks[offered] if known else FOREVER)
