"""The cores' tables of costs against what uops.info measured, instruction by instruction."""

import csv
from pathlib import Path

import pytest

from sim.cpu.kernelcores import load_core, parse_kernel
from sim.cpu.kernelcores.body import build_body

TABLE = Path(__file__).with_name("data") / "instructions.csv"
ROWS = list(csv.DictReader(TABLE.read_text().splitlines()))
CORES = {"HSW": "haswell", "SKL": "skylake", "ZEN2": "zen2", "ZEN3": "zen3"}
PORTS_NOT_MEASURED = {("ZEN2", "fp16->fp32 256"), ("ZEN2", "horizontal add 256")}
"""So that the core has no cost for them."""
OTHER_COUNT = {("ZEN3", "lea base+index*scale+disp")}
"""Two macro-ops on one unit after another, of which the table has the latency."""


@pytest.mark.parametrize(
    "row",
    [row for row in ROWS if (row["cpu"], row["class"]) not in PORTS_NOT_MEASURED],
    ids=lambda row: f"{row['cpu']} {row['class']}",
)
def test_an_instruction_costs_what_was_measured(row):
    kernel = parse_kernel(row["instruction"], "x86_64")
    body = build_body(kernel, load_core(CORES[row["cpu"]]))
    assert sum(op.latency for op in body.micro_ops) == int(row["latency"])
    if (row["cpu"], row["class"]) not in OTHER_COUNT:
        count = len(body.micro_ops) if row["cpu"] in ("HSW", "SKL") else body.slots
        assert count == int(row["micro_ops"])
