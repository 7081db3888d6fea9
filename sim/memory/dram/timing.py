"""When a DRAM takes a command: the tree's memory of what was issued."""

from __future__ import annotations

from collections import defaultdict, deque

from sim.memory.dram.device import Command, DramDevice, Gap


class CommandTiming:
    """The earliest tick of every command, kept at every node of a channel.

    Models: all gaps of the device, with windows (the last but three activates) and siblings.
    Ignores: whether a command makes sense; that is the controller's.
    Source: the JEDEC document that the standard's file names.
    """

    def __init__(self, device: DramDevice) -> None:
        self.device = device
        self._gaps: dict[Command, list[Gap]] = {command: [] for command in Command}
        for gap in device.gaps:
            self._gaps[gap.preceding].append(gap)
        window = max((gap.window for gap in device.gaps), default=1)
        self._ready: dict[tuple[int, int, Command], int] = defaultdict(int)
        self._past: dict[tuple[int, int, Command], deque[int]] = defaultdict(
            lambda: deque(maxlen=window)
        )

    def earliest(self, command: Command, bank: int) -> int:
        """Return the first tick at which no gap forbids a command to a bank, or to its scope."""
        device = self.device
        return max(
            self._ready[level, device.node(level, bank), command]
            for level in range(device.depth(command))
        )

    def issue(self, command: Command, bank: int, tick: int) -> None:
        """Note a command, which moves others' earliest ticks."""
        device = self.device
        for level in range(device.depth(command)):
            self._past[level, device.node(level, bank), command].appendleft(tick)
        for gap in self._gaps[command]:
            node = device.node(gap.level, bank)
            past = self._past[gap.level, node, command]
            if len(past) < gap.window:
                continue
            until = past[gap.window - 1] + gap.ticks
            for held in self._siblings(gap.level, node) if gap.siblings else (node,):
                key = gap.level, held, gap.following
                self._ready[key] = max(self._ready[key], until)

    def _siblings(self, level: int, node: int) -> list[int]:
        count = self.device.counts[level]
        first = node - node % count
        return [other for other in range(first, first + count) if other != node]
