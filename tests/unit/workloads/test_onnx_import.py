"""ONNX graphs as traces: closed forms, shapes as numpy has them, and bad files."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx", reason="the extra onnx is not installed: pip install onnx")

from onnx import TensorProto, helper
from onnx_graphs import (
    computed,
    constants,
    floats,
    mlp,
    model_of,
    node,
    ops_of,
    saved,
    traced,
    transformer,
)

from sim.machine import load_machine
from sim.run import run
from workloads import ModelError, Role
from workloads.onnx_graph import import_onnx

SIZES = {"layers": 2, "width": 16, "heads": 4, "wide": 32, "words": 50, "places": 12}
BATCH, TOKENS = 3, 7


@pytest.fixture(scope="module")
def decoder() -> Any:
    return transformer(**SIZES)


def test_an_mlp_has_its_closed_form(tmp_path: Path) -> None:
    trace = traced(mlp(), tmp_path, batch=5)
    assert [op.kind for op in ops_of(trace)] == ["matmul", "add", "relu", "matmul", "add"]
    assert trace.flops == 5 * (2 * 8 * 16 + 16 + 16 + 2 * 16 * 4 + 4)
    assert trace.weight_bytes == 4 * (8 * 16 + 16 + 16 * 4 + 4)
    assert trace.about["parameters"] == 8 * 16 + 16 + 16 * 4 + 4
    assert (trace.batch, trace.prompt_tokens) == (5, 1)
    first = ops_of(trace)[0]
    assert dict(first.dims) == {"batch": 1, "m": 5, "n": 16, "k": 8}
    assert (first.bytes_read, first.bytes_written) == (4 * (5 * 8 + 8 * 16), 4 * 5 * 16)


def test_a_transformer_has_its_closed_forms(decoder: Any, tmp_path: Path) -> None:
    trace = traced(decoder, tmp_path, batch=BATCH, sequence=TOKENS)
    c, f, layers, v = SIZES["width"], SIZES["wide"], SIZES["layers"], SIZES["words"]
    rows, scores = BATCH * TOKENS, BATCH * SIZES["heads"] * TOKENS * TOKENS
    products = 2 * rows * (3 * c * c + c * c + 2 * c * f) + 2 * 2 * rows * TOKENS * c
    norms = 2 * (7 * rows * c + 3 * rows)
    sums = rows * (3 * c + c + c + f + c + c)  # four biases, two residuals
    layer = products + norms + sums + 4 * rows * f + (1 + 4) * scores  # GELU; scale, softmax
    ends = rows * c + 7 * rows * c + 3 * rows + 2 * rows * c * v  # positions, norm, head
    assert trace.flops == layers * layer + ends
    roots = layers * (2 * rows + rows * f + scores) + rows
    assert sum(op.transcendentals for op in ops_of(trace)) == roots
    weights = layers * (4 * c * c + 4 * c + 2 * c * f + f + c + 4 * c)
    table = SIZES["places"] * c
    mask_bytes = TOKENS * TOKENS  # folded: what is cut out of a constant of whole numbers
    assert trace.weight_bytes == 4 * (weights + v * c + table + 2 * c) + mask_bytes
    assert trace.about["parameters"] == weights + v * c + table + 2 * c
    assert (trace.batch, trace.prompt_tokens) == (BATCH, TOKENS)


def test_a_transformers_activations_have_their_closed_form(decoder: Any, tmp_path: Path) -> None:
    trace = traced(decoder, tmp_path, batch=BATCH, sequence=TOKENS)
    c, f, rows = SIZES["width"], SIZES["wide"], BATCH * TOKENS
    scores = BATCH * SIZES["heads"] * TOKENS * TOKENS
    # norm, qkv and its sum, three parts copied, transposed, mix, transposed back, out, its sum, ...
    layer = rows * c * (1 + 3 + 3 + 3 + 3 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1) + 3 * rows * f
    layer += 4 * scores  # scores, scaled, masked, softmax
    ends = rows * c * (1 + 1 + 1) + rows * SIZES["words"]
    written = sum(op.bytes_written for op in ops_of(trace))
    assert written == 4 * (SIZES["layers"] * layer + ends)


def test_every_operation_writes_the_shape_that_numpy_computes(decoder: Any, tmp_path: Path) -> None:
    trace = traced(decoder, tmp_path, batch=BATCH, sequence=TOKENS)
    ids = np.arange(BATCH * TOKENS).reshape(BATCH, TOKENS) % SIZES["words"]
    values = computed(decoder, ids=ids)
    made = {each.name or each.output[0]: each.output[0] for each in decoder.graph.node}
    checked = 0
    for op in ops_of(trace):
        tensor = trace.tensors[op.writes[0].tensor]
        name = made.get(op.name)
        if name is not None:
            assert tensor.shape == values[name].shape
            assert tensor.bytes == op.bytes_written == values[name].nbytes
            checked += 1
    assert checked == len(ops_of(trace)) - 2 * SIZES["layers"]  # second and third part of a split


def test_what_follows_from_sizes_alone_is_no_operation(decoder: Any, tmp_path: Path) -> None:
    kinds = Counter(op.kind for op in ops_of(traced(decoder, tmp_path, batch=1, sequence=3)))
    layers = SIZES["layers"]
    assert kinds == {
        "embedding": 1,
        "add": 1 + layers * 6,
        "layernorm": 1 + layers * 2,
        "matmul": 1 + layers * 6,
        "split": layers * 3,
        "transpose": layers * 4,
        "mul": layers,
        "where": layers,
        "softmax": layers,
        "gelu_erf": layers,
    }


def test_views_cost_nothing_and_wait_for_the_writer_of_what_they_show(tmp_path: Path) -> None:
    nodes = [
        node("Relu", ["x"], ["a"]),
        node("Reshape", ["a", "to"], ["b"]),
        node("Unsqueeze", ["b", "axis"], ["c"]),
        node("Transpose", ["c"], ["d"], perm=[1, 0, 2]),  # moves an axis of extent 1
        node("Slice", ["d", "one", "two", "axis"], ["e"]),
        node("Identity", ["e"], ["f"]),
        node("Tanh", ["f"], ["y"]),
    ]
    weights = constants(to=[3, 4], axis=[0], one=[1], two=[3])
    relu, tanh = ops_of(traced(model_of(nodes, {"x": [2, 6]}, weights), tmp_path))
    assert (relu.kind, tanh.kind) == ("relu", "tanh")
    (read,) = tanh.reads
    assert (read.bytes, read.offset_bytes) == (4 * 2 * 4, 4 * 4)
    assert tanh.depends_back == (1,)


def test_copies_that_are_real_are_recorded_as_such(tmp_path: Path) -> None:
    nodes = [
        node("Transpose", ["x"], ["a"]),  # [2, 6] -> [6, 2]
        node("Concat", ["a", "a"], ["b"], axis=1),  # [6, 4]
        node("Slice", ["b", "one", "three", "one"], ["c"]),  # [6, 2], scattered
        node("Expand", ["c", "big"], ["d"]),  # [5, 6, 2]
        node("Cast", ["d"], ["y"], to=TensorProto.FLOAT16),
    ]
    weights = constants(one=[1], three=[3], big=[5, 6, 2])
    trace = traced(model_of(nodes, {"x": [2, 6]}, weights), tmp_path)
    moved = [(op.kind, op.bytes_read, op.bytes_written) for op in ops_of(trace)]
    assert moved == [
        ("transpose", 48, 48),
        ("concat", 96, 96),
        ("slice", 48, 48),
        ("expand", 48, 240),
        ("cast", 240, 120),
    ]
    assert trace.flops == 0


@pytest.mark.parametrize(
    ("a", "b", "dims"),
    [
        ([2, 3, 5], [5, 7], (1, 6, 7, 5)),  # all rows of A in one product
        ([2, 4, 3, 5], [2, 4, 5, 7], (8, 3, 7, 5)),
        ([1, 3, 5], [6, 5, 7], (6, 3, 7, 5)),  # A repeated
        ([2, 4, 3, 5], [4, 5, 7], (8, 3, 7, 5)),
        ([5], [5, 7], (1, 1, 7, 5)),
        ([3, 5], [5], (1, 3, 1, 5)),
    ],
)
def test_a_product_s_extents_follow_numpys_broadcast(
    a: list[int], b: list[int], dims: tuple[int, ...], tmp_path: Path
) -> None:
    model = model_of([node("MatMul", ["a", "b"], ["y"])], {"a": a, "b": b}, {})
    (op,) = ops_of(traced(model, tmp_path))
    assert tuple(op.dims.values()) == dims
    assert op.flops == 2 * math.prod(dims)
    assert op.bytes_written == computed(model, a=floats(*a), b=floats(*b))["y"].nbytes


@pytest.mark.parametrize(
    ("x", "w", "attributes", "dims"),
    [
        ([2, 3, 9], [8, 3, 3], {"pads": [1, 1]}, (1, 18, 8, 9)),
        ([2, 4, 8, 8], [6, 4, 3, 3], {"strides": [2, 2]}, (1, 18, 6, 36)),
        ([1, 6, 5, 5], [6, 1, 3, 3], {"group": 6}, (6, 9, 1, 9)),
    ],
)
def test_a_convolution_is_a_product_of_windows(
    x: list[int], w: list[int], attributes: Any, dims: tuple[int, ...], tmp_path: Path
) -> None:
    weights = {"w": floats(*w), "b": floats(w[0])}
    model = model_of([node("Conv", ["x", "w", "b"], ["y"], **attributes)], {"x": x}, weights)
    conv, bias = ops_of(traced(model, tmp_path))
    result = computed(model, x=floats(*x))["y"]
    assert tuple(conv.dims.values()) == dims
    assert conv.flops == 2 * result.size * math.prod(w[1:])
    assert conv.bytes_read == 4 * (math.prod(x) + math.prod(w))
    assert (bias.flops, bias.bytes_written) == (result.size, result.nbytes)


@pytest.mark.parametrize(
    ("kind", "attributes", "flops", "transcendentals"),
    [
        ("Sigmoid", {}, 2 * 24, 24),
        ("Gelu", {"approximate": "tanh"}, 8 * 24, 24),
        ("Softmax", {"axis": 1}, 4 * 24, 24),
        ("LogSoftmax", {"axis": 2}, 4 * 24, 24 + 6),
        ("ReduceMean", {"keepdims": 0}, 24 + 1, 0),
        ("ReduceL2", {}, 2 * 24, 1),
        ("ArgMax", {"axis": 1}, 24, 0),
        ("Neg", {}, 0, 0),
    ],
)
def test_each_operand_s_map_or_reduction_has_its_cost(
    kind: str, attributes: Any, flops: int, transcendentals: int, tmp_path: Path
) -> None:
    model = model_of([node(kind, ["x"], ["y"], **attributes)], {"x": [2, 3, 4]}, {})
    (op,) = ops_of(traced(model, tmp_path))
    assert (op.flops, op.transcendentals) == (flops, transcendentals)
    assert op.bytes_written == computed(model, x=floats(2, 3, 4))["y"].nbytes


@pytest.mark.parametrize(
    ("exponent", "flops", "transcendentals"), [(2, 1, 0), (3, 2, 0), (0.5, 0, 1), (1.7, 1, 2)]
)
def test_a_power_costs_products_where_it_can(
    exponent: float, flops: int, transcendentals: int, tmp_path: Path
) -> None:
    weights = {"e": np.float32(exponent)}
    (op,) = ops_of(
        traced(model_of([node("Pow", ["x", "e"], ["y"])], {"x": [10]}, weights), tmp_path)
    )
    assert (op.flops, op.transcendentals) == (10 * flops, 10 * transcendentals)
    assert op.bytes_read == 40  # the exponent is part of the operation


def test_a_weight_that_two_nodes_read_lies_in_memory_once(tmp_path: Path) -> None:
    nodes = [node("Add", ["x", "w"], ["a"]), node("Mul", ["a", "w"], ["y"])]
    trace = traced(model_of(nodes, {"x": [3, 8]}, {"w": floats(8), "unread": floats(99)}), tmp_path)
    assert trace.bytes_of(Role.WEIGHT) == 4 * 8


@pytest.mark.parametrize("machine", ["cpu-5stage", "gpu-a100-sxm-80gb", "tpu-v4"])
def test_machines_run_an_imported_graph(machine: str, decoder: Any, tmp_path: Path) -> None:
    trace = traced(decoder, tmp_path, batch=2, sequence=4)
    result = run(trace, load_machine(machine))
    assert result.cycles > 0
    assert sum(row.flops for row in result.ops) == trace.flops


def test_an_import_is_repeatable_and_its_trace_can_be_saved(decoder: Any, tmp_path: Path) -> None:
    first = traced(decoder, tmp_path, batch=2, sequence=4)
    path = tmp_path / "t.json.gz"
    first.save(path)
    again = traced(decoder, tmp_path, batch=2, sequence=4)
    assert type(first).load(path).digest() == first.digest() == again.digest()


def test_all_nodes_without_a_cost_are_listed_in_one_error(tmp_path: Path) -> None:
    nodes = [
        node("Det", ["x"], ["a"], name="first"),
        node("Relu", ["x"], ["r"]),
        node("Det", ["r"], ["b"]),
        node("NonZero", ["r"], ["c"]),
        node("Fused", ["c"], ["y"], domain="com.example"),
    ]
    with pytest.raises(ModelError) as raised:
        traced(model_of(nodes, {"x": [4, 4]}, {}), tmp_path)
    message = str(raised.value)
    assert "2 Det (first 'first'), 1 NonZero (first 'c'), 1 com.example.Fused" in message
    assert "Relu" not in message
    assert "\n" not in message


def test_all_nodes_that_do_more_than_their_rule_are_listed_in_one_error(tmp_path: Path) -> None:
    nodes = [
        node("LayerNormalization", ["x", "w"], ["a", "mean"], name="norm"),
        node("Conv", ["v", "k"], ["y"], name="deep"),
    ]
    weights = {"w": floats(4), "k": floats(2, 2, 1, 1, 1)}
    model = model_of(nodes, {"x": [4, 4], "v": [1, 2, 3, 3, 3]}, weights, ["a", "y"])
    with pytest.raises(ModelError, match=r"LayerNormalization 'norm': .*; Conv 'deep': .*3 axes"):
        traced(model, tmp_path)


def _shape_of_data() -> Any:
    return model_of([node("Reshape", ["x", "s"], ["y"])], {"x": [4], "s": (7, [2])}, {})


@pytest.mark.parametrize(
    ("model", "dims", "words"),
    [
        (mlp, {}, ("sizes are open", "--dim batch=1")),
        (mlp, {"batch": 1, "bach": 1}, ("no input has an open size 'bach'",)),
        (mlp, {"batch": 0}, ("batch=0", "1 or more")),
        (_shape_of_data, {}, ("'y'", "known only in the run")),
        (
            lambda: model_of([node("Add", ["x", "z"], ["y"])], {"x": [4]}, {}),
            {},
            ("reads 'z', which nothing before it makes",),
        ),
        (
            lambda: model_of([node("Add", ["x", "z"], ["y"])], {"x": [4], "z": [5]}, {}),
            {},
            ("(Add)", "Incompatible dimensions"),
        ),
        (
            lambda: model_of([node("Relu", ["x"], ["y"])], {"x": (TensorProto.STRING, [2])}, {}),
            {},
            ("'x'", "STRING"),
        ),
        (lambda: helper.make_model(helper.make_graph([], "g", [], [])), {}, ("holds no graph",)),
    ],
)
def test_a_graph_that_cannot_be_traced_says_so_on_one_line(
    model: Any, dims: dict[str, int], words: tuple[str, ...], tmp_path: Path
) -> None:
    path = saved(model(), tmp_path)
    with pytest.raises(ModelError) as raised:
        import_onnx(path, dims)
    message = str(raised.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    for word in words:
        assert word in message


def test_a_size_may_be_given_by_input_and_axis(tmp_path: Path) -> None:
    model = model_of([node("Relu", ["x"], ["y"])], {"x": [None, 3]}, {})
    path = saved(model, tmp_path)
    assert import_onnx(path, {"x.0": 5}).flops == 15
    with pytest.raises(ModelError, match=r"--dim x\.0=1"):
        import_onnx(path)


def test_a_damaged_file_gives_a_model_error_or_a_sound_trace(decoder: Any, tmp_path: Path) -> None:
    data = decoder.SerializeToString()
    random = np.random.default_rng(0)
    faults = []
    for _ in range(60):
        broken = bytearray(data)
        for at in random.integers(len(broken), size=3):
            broken[at] = random.integers(256)
        cut = random.integers(len(broken)) if random.random() < 0.5 else len(broken)
        faults.append(fault_of(bytes(broken[:cut]), tmp_path / "damaged.onnx"))
    assert sum(fault != "" for fault in faults) > 20
    assert not any("\n" in fault for fault in faults)


def fault_of(data: bytes, path: Path) -> str:
    path.write_bytes(data)
    try:
        import_onnx(path, {"batch": 1, "sequence": 2}).verify()
    except ModelError as error:
        return str(error)
    return ""


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"nowhere\.onnx: cannot be read"):
        import_onnx(tmp_path / "nowhere.onnx")
