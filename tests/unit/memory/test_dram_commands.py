"""Each gap between DRAM commands is tight, and the controller's rules have exact ticks."""

import numpy as np
import pytest

from sim.errors import SpecError
from sim.memory.dram import (
    AddressMapping,
    ControllerSpec,
    PagePolicy,
    Refresh,
    Stop,
    load_device,
    load_standard,
    run_channels,
    simulate,
    standard_names,
)
from sim.memory.dram.controller import DramController
from sim.memory.dram.device import SCOPE_COMMANDS, Command
from sim.memory.dram.requests import CONFLICT, FORWARDED, HIT, MISS, Requests
from sim.memory.dram.timing import CommandTiming

PARTS = {
    "ddr4": ("DDR4_8Gb_x8", "DDR4_2400R"),
    "ddr5": ("DDR5_16Gb_x8", "DDR5_4800AN"),
    "lpddr5": ("LPDDR5_16Gb_x16", "LPDDR5_6400"),
    "gddr6": ("GDDR6_8Gb_x16", "GDDR6_14000"),
    "hbm2": ("HBM2_2Gb", "HBM2_2000Mbps"),
    "hbm2e": ("HBM2E_16Gb", "HBM2E_3800Mbps"),
    "hbm3": ("HBM3_8Gb_8hi", "HBM3_6400Mbps"),
}
BARE = ControllerSpec(refresh=Refresh.NONE)


def device(name, **kwargs):
    return load_device(name, *PARTS[name], **kwargs)


def requests(*triples, ticks=None):
    """(bank, row, write) each; distinct addresses."""
    banks, rows, writes = (np.array(column) for column in zip(*triples, strict=True))
    count = len(triples)
    when = np.zeros(count, dtype=np.int64) if ticks is None else np.array(ticks)
    return Requests(
        transfers=np.arange(count),
        banks=banks,
        rows=rows,
        writes=writes.astype(np.bool_),
        ticks=when,
    )


def commands(result):
    return [(int(tick), Command(code).name, int(bank)) for tick, code, bank in result.commands]


def test_every_standard_of_the_folder_has_a_part_here():
    assert standard_names() == sorted(PARTS)


@pytest.mark.parametrize("name", sorted(PARTS))
def test_every_gap_forbids_one_tick_before_and_allows_on_it(name):
    part = device(name, ranks=2) if "rank" in device(name).levels else device(name)
    for gap in part.gaps:
        if gap.ticks <= 0:
            continue
        timing = CommandTiming(part)
        timing._gaps = {command: [] for command in Command} | {gap.preceding: [gap]}
        for tick in range(100, 100 + gap.window):
            timing.issue(gap.preceding, 0, tick)
        target = part.banks // part.nodes[gap.level] if gap.siblings else 0
        assert timing.earliest(gap.following, target) == 100 + gap.ticks, gap


@pytest.mark.parametrize("name", sorted(PARTS))
def test_no_command_that_was_issued_came_too_soon(name):
    part = device(name)
    rng = np.random.default_rng(1)
    asked = requests(*zip(*(rng.integers(0, n, 300) for n in (part.banks, 4, 2)), strict=True))
    log = simulate(part, asked, ControllerSpec()).commands
    for gap in part.gaps:
        nodes = log[:, 2] // (part.banks // part.nodes[gap.level])
        for node in np.unique(nodes):
            first = log[(log[:, 1] == gap.preceding) & (nodes == node), 0]
            kin = nodes // part.counts[gap.level] == node // part.counts[gap.level]
            where = kin & (nodes != node) if gap.siblings else nodes == node
            for tick in log[(log[:, 1] == gap.following) & where, 0]:
                before = first[first < tick]
                if len(before) >= gap.window:
                    assert tick - before[-gap.window] >= gap.ticks, gap


def test_a_read_of_a_closed_bank_takes_trcd_plus_cl_plus_the_burst():
    result = simulate(device("ddr4"), requests((0, 7, 0)), BARE)
    assert commands(result) == [(1, "ACT", 0), (1 + 16, "RD", 0)]
    assert (result.done[0], result.ticks) == (17 + 16 + 4, 37)
    assert list(result.read_latencies) == [37]
    assert (result.row_hits, result.row_misses, result.row_conflicts) == (0, 1, 0)


def test_a_row_conflict_waits_for_tras_trp_and_trcd():
    result = simulate(device("ddr4"), requests((0, 7, 0), (0, 8, 0)), BARE)
    assert commands(result)[2:] == [(1 + 39, "PRE", 0), (40 + 16, "ACT", 0), (56 + 16, "RD", 0)]
    assert list(result.outcomes) == [MISS, CONFLICT]


def test_reads_of_an_open_row_follow_at_tccd_l():
    result = simulate(device("ddr4"), requests(*[(0, 7, 0)] * 3), BARE)
    assert [tick for tick, name, _ in commands(result) if name == "RD"] == [17, 23, 29]
    assert list(result.outcomes) == [MISS, HIT, HIT]


def test_bank_groups_follow_at_tccd_s():
    result = simulate(device("ddr4"), requests((0, 7, 0), (4, 7, 0)), BARE)
    assert commands(result)[1:3] == [(1 + 4, "ACT", 4), (17, "RD", 0)]
    assert commands(result)[3] == (21, "RD", 4)


def test_a_row_opened_for_a_request_is_not_closed_before_its_access():
    result = simulate(device("ddr4"), requests((0, 1, 0), (0, 2, 0), (0, 1, 0)), BARE)
    names = [name for _, name, _ in commands(result)]
    assert names == ["ACT", "RD", "RD", "PRE", "ACT", "RD"]


def test_a_closed_page_precharges_with_its_last_access():
    closed = ControllerSpec(refresh=Refresh.NONE, page=PagePolicy.CLOSED)
    result = simulate(device("ddr4"), requests((0, 7, 0), (0, 7, 0), (0, 8, 0)), closed)
    names = [name for _, name, _ in commands(result)]
    assert names == ["ACT", "RD", "RDA", "ACT", "RDA"]
    assert result.row_conflicts == 0


def test_a_write_turns_around_before_a_read():
    result = simulate(device("ddr4"), requests((0, 7, 1), (0, 7, 0), ticks=[0, 20]), BARE)
    assert commands(result) == [(1, "ACT", 0), (17, "WR", 0), (17 + 12 + 4 + 9, "RD", 0)]


def test_a_read_of_a_waiting_write_is_served_from_it():
    asked = requests((0, 7, 1), (0, 8, 1), (0, 8, 0))
    asked.transfers[2] = asked.transfers[1]
    result = simulate(device("ddr4"), asked, BARE)
    assert result.outcomes[2] == FORWARDED
    assert result.read_latencies[0] == 1


def test_a_full_queue_holds_back_who_asks():
    spec = ControllerSpec(read_queue=1, refresh=Refresh.NONE, stop=Stop.ACCEPTED)
    result = simulate(device("ddr4"), requests((0, 1, 0), (0, 2, 0), (0, 3, 0)), spec)
    assert list(result.accepted) == [0, 1, 56]
    assert result.ticks == 56


def test_an_all_bank_refresh_closes_rows_and_holds_activates_for_trfc():
    part = device("ddr4")
    late = part.refresh_interval_ticks
    assert late == 9364
    result = simulate(part, requests((0, 7, 0), (3, 7, 0), ticks=[0, late]), ControllerSpec())
    assert commands(result)[2:] == [
        (late, "PREA", 0),
        (late + 16, "REF", 0),
        (late + 16 + 421, "ACT", 3),
        (late + 16 + 421 + 16, "RD", 3),
    ]


def test_a_per_bank_refresh_leaves_other_banks_alone():
    part = device("hbm2")
    spec = ControllerSpec(refresh=Refresh.PER_BANK)
    late = part.bank_refresh_interval_ticks
    assert late == 122
    result = simulate(part, requests((0, 7, 0), (9, 7, 0), ticks=[0, late]), spec)
    assert (late, "PRE", 0) in commands(result)
    assert (late + 14, "REFB", 0) in commands(result)
    read = next(tick for tick, name, bank in commands(result) if (name, bank) == ("RD", 9))
    assert read < late + 14 + 160


def test_a_standard_without_per_bank_refresh_refuses_it():
    with pytest.raises(SpecError, match="cannot refresh per bank"):
        DramController(device("ddr4"), ControllerSpec(refresh=Refresh.PER_BANK))


def test_hbm_sends_a_row_and_a_column_command_in_one_tick():
    rng = np.random.default_rng(2)
    asked = requests(*((int(b), int(r), 0) for b, r in rng.integers(0, 16, (200, 2))))
    ticks = simulate(device("hbm2"), asked, BARE).commands[:, 0]
    assert 1 < len(ticks) / len(np.unique(ticks)) <= 2


def test_hbm3_column_commands_start_with_the_clock():
    rng = np.random.default_rng(2)
    asked = requests(*((int(b), int(r), 0) for b, r in rng.integers(0, 16, (200, 2))))
    log = simulate(device("hbm3"), asked, ControllerSpec()).commands
    free = np.isin(log[:, 1], [Command.PRE, Command.PREA])
    assert np.all(log[~free, 0] % 2 == 1)
    assert np.any(log[free, 0] % 2 == 0)


def test_peaks_are_those_of_the_datasheets():
    peaks = {name: round(device(name).peak_bytes_per_second / 1e9, 1) for name in PARTS}
    assert peaks == {
        "ddr4": 19.2,
        "ddr5": 19.2,
        "lpddr5": 12.8,
        "gddr6": 28.1,
        "hbm2": 32.0,
        "hbm2e": 60.8,
        "hbm3": 51.2,
    }


@pytest.mark.parametrize("name", ["RoBaRaCoCh", "MOP4CLXOR"])
@pytest.mark.parametrize("standard", ["ddr4", "hbm3"])
def test_a_mapping_gives_every_transfer_its_own_place(name, standard):
    part = device(standard)
    places = AddressMapping(part, name).places(np.arange(1 << 14))
    keys = (places.rows * part.banks + places.banks) * part.columns + places.columns
    assert len(np.unique(keys)) == 1 << 14


def test_channels_take_transfers_in_turn():
    part = device("hbm2")
    addresses = np.arange(64) * part.transfer_bytes
    results = run_channels(
        part, addresses, np.zeros(64), channels=4, mapping="RoBaRaCoCh", spec=BARE
    )
    assert [len(result.accepted) for result in results] == [16] * 4
    assert len({result.ticks for result in results}) == 1


def test_unknown_names_are_told_with_the_nearest():
    with pytest.raises(SpecError, match="did you mean 'ddr4'"):
        load_standard("ddr44")
    with pytest.raises(SpecError, match="did you mean 'DDR4_2400R'"):
        load_device("ddr4", "DDR4_8Gb_x8", "DDR4_2400RR")
    with pytest.raises(SpecError, match="did you mean 'RoBaRaCoCh'"):
        AddressMapping(device("ddr4"), "RoBaRaCoC")
    with pytest.raises(SpecError, match="has no ranks"):
        device("hbm2", ranks=2)


def test_every_standard_says_what_was_not_held_against_its_source():
    assert all(load_standard(name).note for name in PARTS)


def test_all_scope_commands_stand_above_the_bank():
    for name in PARTS:
        part = device(name)
        deep = [g for g in part.gaps if {g.preceding, g.following} & SCOPE_COMMANDS]
        assert all(gap.level <= part.scope_level for gap in deep)
