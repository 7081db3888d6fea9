import gzip
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from workloads import Access, Block, Model, Trace, TraceError, generate


@pytest.fixture
def trace(tiny_gpt2: Model) -> Trace:
    return generate(tiny_gpt2, [1, 2, 3], new_tokens=3).trace


def test_a_saved_trace_loads_as_it_was(trace: Trace, tmp_path: Path) -> None:
    path = tmp_path / "run.trace"
    trace.save(path)
    loaded = Trace.load(path)
    assert loaded == trace
    assert loaded.digest() == trace.digest()
    assert [file.name for file in tmp_path.iterdir()] == ["run.trace"]


def test_a_truncated_file_is_refused(trace: Trace, tmp_path: Path) -> None:
    path = tmp_path / "run.trace"
    trace.save(path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(TraceError, match="not a readable trace"):
        Trace.load(path)


def test_an_edited_number_is_noticed(trace: Trace, tmp_path: Path) -> None:
    path = tmp_path / "run.trace"
    trace.save(path)
    content = json.loads(gzip.decompress(path.read_bytes()))
    content["blocks"][0]["ops"][0]["flops"] += 1
    path.write_bytes(gzip.compress(json.dumps(content).encode()))
    with pytest.raises(TraceError, match="content and digest differ"):
        Trace.load(path)


def test_a_missing_file_and_another_format_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="not a readable trace"):
        Trace.load(tmp_path / "none.trace")
    path = tmp_path / "old.trace"
    path.write_bytes(gzip.compress(b'{"format": 0}'))
    with pytest.raises(TraceError, match="not a trace of format"):
        Trace.load(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dims": {"elements": 3}}, "should be"),
        ({"flops": -1}, "not negative"),
        ({"depends_back": (1,)}, "depends on an operation 1 back"),
        ({"reads": (Access(999, 4),)}, "tensor 999, which is not listed"),
        ({"reads": (Access(0, 4, 10**9),)}, "which has"),
    ],
)
def test_verify_names_the_operation_that_cannot_be(
    trace: Trace, change: dict[str, Any], message: str
) -> None:
    block = trace.blocks[0]
    wrong = Block(ops=(replace(block.ops[0], **change), *block.ops[1:]))
    with pytest.raises(TraceError, match=rf"operation 0 \(embedding.token\).*{message}"):
        replace(trace, blocks=(wrong, *trace.blocks[1:])).verify()


def test_the_digest_ignores_what_is_only_for_people(trace: Trace) -> None:
    assert replace(trace, about={"note": "x"}).digest() == trace.digest()
    assert replace(trace, batch=2).digest() != trace.digest()
