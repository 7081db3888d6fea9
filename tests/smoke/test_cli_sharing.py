"""`tokenclock sharing`: patterns, recorded accesses, and what is refused."""

import json

import numpy as np
import pytest

from reports.sharing import core_counts
from sim.memory.coherent.description import FOLDER, system_names
from sim.memory.coherent.patterns import PATTERNS

FILES = {"sharing.json", "sharing-growth.png", "sharing-growth.svg"}
BUS = ("--system", "bus-mesi-4", "--accesses", 40)


@pytest.fixture
def recorded(tmp_path):
    path = tmp_path / "two.npz"
    np.savez(
        path,
        addr=np.tile([0, 8], 20),
        kind=np.ones(40, np.uint8),
        size=np.full(40, 8, np.uint8),
        core=np.tile([0, 1], 20),
    )
    return path


def test_false_sharing_is_told_and_set_against_lines_apart(tokenclock, tmp_path):
    ran = tokenclock("sharing", "false-sharing", *BUS, "--out", tmp_path)
    assert (ran.code, ran.err) == (0, "")
    assert "false-sharing on bus-mesi-4 (4 cores on a bus, MESI), 4 at work" in ran.out
    assert "Against each core's word in a line of its own" in ran.out
    assert "Bus: taken " in ran.out
    assert {path.name for path in tmp_path.iterdir()} == FILES
    again = tokenclock("sharing", "false-sharing", *BUS, "--out", tmp_path, "--json")
    answer = json.loads(again.out)
    assert answer == json.loads((tmp_path / "sharing.json").read_text())
    assert answer["twin"]["ratio"] == answer["cycles"] / answer["twin"]["cycles"] > 2
    assert answer["misses"]["true sharing"] == 0
    assert answer["misses"]["false sharing"] > 0
    assert sum(answer["stack"].values()) == 4 * answer["cycles"]
    for core in answer["cores"]:
        done = core["hits"] + core["forwarded"] + core["upgrades"] + sum(core["misses"].values())
        assert done == core["accesses"] == 40


def test_a_network_tells_its_busiest_channel_and_all_its_messages(tokenclock, tmp_path):
    asked = ("sharing", "true-sharing", "--accesses", 30, "--cores", 4)
    ran = tokenclock(*asked, "--out", tmp_path)
    assert "Channels of the ring: taken " in ran.out
    assert "unblock " in ran.out
    answer = json.loads(tokenclock(*asked, "--out", tmp_path, "--json").out)
    assert len(answer["cores"]) == 4
    assert 0 < answer["mean_link_share"] < answer["busiest_share"] <= 1


def test_the_chart_has_each_pattern_at_doublings_of_the_cores(tokenclock, tmp_path):
    ran = tokenclock("sharing", "private", *BUS, "--out", tmp_path, "--json")
    answer = json.loads(ran.out)
    assert answer["twin"] is None
    growth = {(p["pattern"], p["cores"]): p["cycles_per_access"] for p in answer["growth"]}
    assert len(growth) == 3 * 3
    for pattern in ("false-sharing", "true-sharing"):
        assert growth[pattern, 1] < growth[pattern, 2] < growth[pattern, 4]
    assert core_counts(6) == [1, 2, 4, 6]


def test_recorded_accesses_run_on_the_cores_that_made_them(tokenclock, recorded, tmp_path):
    ran = tokenclock("sharing", recorded, "--system", "bus-mesi-4", "--out", tmp_path / "o")
    assert (ran.code, ran.err) == (0, "")
    assert "two.npz on bus-mesi-4 (4 cores on a bus, MESI), 2 at work" in ran.out
    assert "Against" not in ran.out


def test_a_system_may_be_a_file_of_ones_own(tokenclock, tmp_path):
    own = tmp_path / "mine.yaml"
    own.write_text((FOLDER / "bus-mesi-4.yaml").read_text().replace("bus-mesi-4", "mine"))
    ran = tokenclock(
        "sharing", "private", "--system", own, "--accesses", 9, "--out", tmp_path / "o"
    )
    assert "private on mine" in ran.out


def test_help_names_every_pattern_and_system(tokenclock):
    said = tokenclock("sharing", "--help").out
    for name, pattern in PATTERNS.items():
        assert name in said
        assert pattern.summary in said
    for name in system_names():
        assert name in said


def test_quiet_prints_nothing(tokenclock, tmp_path):
    ran = tokenclock("sharing", "private", *BUS, "--quiet", "--out", tmp_path)
    assert (ran.code, ran.out, ran.err) == (0, "", "")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("false-shering",), "did you mean 'false-sharing'"),
        (("private", "--system", "ring-mesi-9"), "did you mean 'ring-mesi-8'"),
        (("private", "--system", "nowhere.yaml"), "nowhere.yaml"),
        (("private", "--cores", "9"), "ring-mesi-8 has 8 cores, not 9"),
        (("ping-pong", "--cores", "3"), "two by two"),
        (("private", "--cores", "0"), "--cores"),
        (("private", "--accesses", "0"), "--accesses"),
        (("nowhere.npz",), "nowhere.npz"),
    ],
)
def test_what_cannot_be_run_is_refused_on_one_line(tokenclock, tmp_path, words, said):
    ran = tokenclock("sharing", *words, "--out", tmp_path / "out")
    ran.assert_refused(said)
    assert not (tmp_path / "out").exists()


def test_options_of_patterns_do_not_go_with_a_file(tokenclock, recorded, tmp_path):
    for option in ("--cores", "--accesses"):
        ran = tokenclock("sharing", recorded, option, 2, "--out", tmp_path / "o")
        ran.assert_refused(f"{option} goes with a pattern")
