"""Multicore memories as files: they load, they refuse, and each of their numbers matters."""

from copy import deepcopy
from functools import cache

import pytest
import yaml

from sim.errors import SpecError
from sim.memory.coherent.description import (
    FOLDER,
    MulticoreSpec,
    load_system,
    system_names,
)
from sim.memory.coherent.run import run_shared
from sim.memory.coherent.shared_trace import SharedTrace
from sim.memory.network.topology import Mesh
from sim.spec import read_spec_file, validate

CHANGES = {
    "protocol": ("MESI", "MOESI"),
    "arbitration": ("port",),
    "columns": (2, 16),
    "line_bytes": ("32 B", "128 B"),
}
# over and over through more lines than a cache of few sets or ways holds
WIDE = SharedTrace.of([n % 20 * 4096 for n in range(80)], cores=[n % 2 for n in range(80)])
WORK = ("false-sharing", "parallel-matmul", WIDE)


def plain(name):
    """A file's content without its notes."""
    return dict(read_spec_file(FOLDER / f"{name}.yaml").values)


def outputs(values, work):
    system = MulticoreSpec.model_validate(values)
    run = run_shared(system, work, cores=4, accesses=40)
    return run.cycles, run.cores, run.busy_cycles


@cache
def unchanged(name, work):
    return outputs(plain(name), work)


def changed(values, path):
    """Yield the file with one entry changed, one way after another."""
    *parts, last = path
    key = parts[0] if parts else None
    old = values[key][last] if key else values[last]
    if last in CHANGES:
        tries = [new for new in CHANGES[last] if new != old]
    elif isinstance(old, str):
        amount = int(old.split()[0])
        tries = [f"{amount * 4} B", f"{max(1, amount // 4)} B"]
    else:
        tries = [old * 2 or 4, 1, old * 64]
    for new in tries:
        other = deepcopy(values)
        (other[key] if key else other)[last] = new
        yield other


def entries():
    for name in system_names():
        for key, value in plain(name).items():
            if key == "protocol":
                yield name, (key,)
            elif key in ("cache", "bus", "network", "home"):
                yield from ((name, (key, last)) for last in value if last != "shape")


@pytest.mark.parametrize("name", system_names())
def test_every_system_runs_on_all_its_cores(name):
    system = load_system(name)
    result = run_shared(system, "true-sharing", accesses=5)
    assert len(result.cores) == system.cores == int(name.rsplit("-", 1)[1])
    assert result.memory[0] == 5 * system.cores
    assert name.startswith(system.fabric)
    assert system.protocol.lower() in name


@pytest.mark.parametrize(("name", "path"), list(entries()))
def test_every_number_of_every_system_moves_some_output(name, path):
    tries = list(changed(plain(name), path))
    assert any(outputs(new, work) != unchanged(name, work) for work in WORK for new in tries)


def test_a_crossbar_and_a_ring_of_the_same_numbers_differ():
    values = plain("ring-mesi-8")
    other = {**values, "network": {**values["network"], "shape": "crossbar"}}
    assert outputs(values, WORK[0]) != outputs(other, WORK[0])


def test_a_mesh_takes_its_rows_from_its_cores():
    assert load_system("mesh-moesi-16").coherence().fabric.topology == Mesh(4, 4)


def test_an_unknown_system_names_the_nearest():
    with pytest.raises(SpecError, match="'ring-mesi-9'; did you mean 'ring-mesi-8'"):
        load_system("ring-mesi-9")


@pytest.mark.parametrize(
    ("name", "path", "value", "said"),
    [
        ("bus-mesi-4", ("cache", "way"), 8, r"key 'cache.way': unknown; did you mean 'ways'"),
        ("bus-mesi-4", ("bus", "snoop_cycle"), 1, "did you mean 'snoop_cycles'"),
        ("ring-mesi-8", ("network", "link_cycle"), 1, "did you mean 'link_cycles'"),
        ("bus-mesi-4", ("cache", "ways"), 0, "must be at least 1"),
        ("bus-mesi-4", ("cache", "ways"), None, "key 'cache.ways'"),
        ("bus-mesi-4", ("protocol",), "MSI", "key 'protocol'"),
        ("bus-mesi-4", ("bus", "width_bytes"), "32", "write a number and one of B"),
        ("ring-mesi-8", ("cores",), 2, "at least 3 are needed"),
        ("ring-mesi-8", ("network", "columns"), 4, "goes with a mesh"),
        ("mesh-moesi-16", ("network", "columns"), 5, "16 cores fill no rows of 5 columns"),
        ("ring-mesi-8", ("home",), None, "`home:` goes with `network:`"),
        ("ring-mesi-8", ("network",), None, "need `bus:` or `network:`"),
        ("ring-mesi-8", ("home", "lookup_cycles"), 0, "at least 1 of everything"),
    ],
)
def test_a_file_that_is_wrong_names_file_and_key(tmp_path, name, path, value, said):
    values = plain(name)
    *parts, last = path
    (values[parts[0]] if parts else values)[last] = value
    file = tmp_path / "odd.yaml"
    file.write_text(yaml.safe_dump(values))
    with pytest.raises(SpecError, match=said) as caught:
        load_system(str(file))
    assert str(file) in str(caught.value)


def test_a_missing_number_is_named(tmp_path):
    values = plain("bus-mesi-4")
    del values["bus"]["memory_cycles"]
    with pytest.raises(SpecError, match=r"key 'bus.memory_cycles': missing"):
        validate(MulticoreSpec, values, tmp_path)
