"""The model's operations in assembly against numpy, edge cases included."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.cpu.riscv import ExecutionError, assemble
from sim.cpu.riscv.calls import BLOCK_DEPTH, BLOCK_ROWS, GROUP
from sim.cpu.riscv.compiled import CompiledMachine
from sim.cpu.riscv.decode_step import packed
from sim.cpu.riscv.kernels import kernel_text
from sim.cpu.riscv.registers import NUMBERS

BASE, ROOM = 0x2000_0000, 2**17
SIZES = st.integers(1, 9)
quick = settings(deadline=None, max_examples=30)


class Bench:
    """Arrays in memory, and one kernel at a time."""

    def __init__(self):
        self.next = BASE
        self.machine = CompiledMachine(
            assemble("main: jalr s0\nli a7, 10\necall\n" + kernel_text(), xlen=64),
            regions=[(BASE, ROOM)],
        )

    def put(self, values):
        values = np.ascontiguousarray(values)
        address, self.next = self.next, self.next + values.nbytes + 64 & -64
        self.machine.memory.view(address, values.nbytes)[:] = values.view(np.uint8).ravel()
        return address

    def call(self, kernel, *arguments, number=None):
        machine = self.machine
        for place, argument in enumerate(arguments):
            machine.set_register(NUMBERS[f"a{place}"], argument)
        if number is not None:
            bits = int(np.float32(number).view(np.uint32))
            machine.set_register(NUMBERS["fa0"], bits - (1 << 32))
        machine.set_register(NUMBERS["s0"], machine.program.symbols[kernel])
        machine.jump(machine.program.entry)
        machine.run(limit=2_000_000)

    def get(self, address, shape, dtype=np.float32):
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        return self.machine.memory.view(address, size).view(dtype).reshape(shape).copy()


@pytest.fixture(scope="module")
def bench():
    return Bench()


@pytest.fixture(autouse=True)
def empty(bench):
    bench.next = BASE


def drawn(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


SPECIAL = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-42, 3e38, 1.0], dtype=np.float32)


def test_exp_is_within_a_millionth_and_right_at_the_edges(bench):
    x = np.linspace(-87, 88.7, 9973).astype(np.float32)
    bench.next = BASE
    source, target = bench.put(x[:4000]), bench.put(x[:4000])
    for part in (x[:4000], x[4000:8000], x[5973:]):
        bench.machine.memory.view(source, part.nbytes)[:] = part.view(np.uint8)
        bench.call("exp_array", source, target, len(part))
        true = np.exp(part.astype(np.float64))
        assert np.abs(bench.get(target, len(part)) / true - 1).max() < 2e-7
    edges = np.array(
        [0, -0.0, np.nan, np.inf, -np.inf, -1000, 1000, 88.73, -103.98, -100], np.float32
    )
    source = bench.put(edges)
    bench.call("exp_array", source, source, len(edges))
    with np.errstate(over="ignore"):
        assert np.allclose(bench.get(source, len(edges)), np.exp(edges), rtol=1e-6, equal_nan=True)


@given(k=st.integers(0, 9), n=st.integers(1, 11), seed=st.integers(0, 99))
@quick
def test_columns_of_a_product_are_numpys_for_any_shape(bench, k, n, seed):
    bench.next = BASE
    x, w = drawn(seed, k), drawn(seed + 1, k, n)
    a, b, c = bench.put(x), bench.put(w), bench.put(np.ones(n, np.float32))
    groups = n // 4
    bench.call("matmul_columns", a, b, c, groups, k, 4 * n, 16)
    bench.call("matmul_column", a, b + 16 * groups, c + 16 * groups, n % 4, k, 4 * n, 4)
    assert np.allclose(bench.get(c, n), x @ w, rtol=1e-5, atol=1e-6)


@given(k=st.integers(0, 11), n=st.integers(0, 3), seed=st.integers(0, 99))
@quick
def test_rows_of_a_transposed_product_are_numpys_for_any_shape(bench, k, n, seed):
    bench.next = BASE
    x, w = drawn(seed, k), drawn(seed + 1, 4 * n, k + 2)
    a, b, c = bench.put(x), bench.put(w), bench.put(np.ones(4 * n, np.float32))
    bench.call("matmul_rows", a, b, c, n, k, 4 * (k + 2))
    assert np.allclose(bench.get(c, 4 * n), w[:, :k] @ x, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("special", SPECIAL)
def test_a_product_carries_nan_and_infinities_as_numpy_does(bench, special):
    x, w = drawn(1, 5), drawn(2, 5, 4)
    x[2] = special
    a, b, c = bench.put(x), bench.put(w), bench.put(np.zeros(4, np.float32))
    bench.call("matmul_columns", a, b, c, 1, 5, 16, 16)
    with np.errstate(all="ignore"):
        assert np.allclose(bench.get(c, 4), x @ w, rtol=1e-5, equal_nan=True)


def softmax(x, scale):
    with np.errstate(all="ignore"):
        e = np.exp(x * np.float32(scale) - (x * np.float32(scale)).max(-1, keepdims=True))
        return e / e.sum(-1, keepdims=True)


@given(rows=st.integers(0, 3), cols=SIZES, seed=st.integers(0, 99), where=st.integers(0, 99))
@quick
def test_softmax_is_numpys_with_whatever_numbers(bench, rows, cols, seed, where):
    bench.next = BASE
    x = 5 * drawn(seed, rows, cols)
    if rows and where < 2 * x.size:
        x.flat[where % x.size] = SPECIAL[where % 8]
    a, b = bench.put(x), bench.put(np.ones_like(x))
    bench.call("softmax", a, b, rows, cols, number=0.25)
    assert np.allclose(bench.get(b, x.shape), softmax(x, 0.25), rtol=2e-6, equal_nan=True)


@given(rows=st.integers(0, 3), cols=SIZES, seed=st.integers(0, 99), where=st.integers(0, 99))
@quick
def test_rmsnorm_is_numpys_with_whatever_numbers(bench, rows, cols, seed, where):
    bench.next = BASE
    x, weight = drawn(seed, rows, cols), drawn(seed + 1, cols)
    if rows and where < 2 * x.size:
        x.flat[where % x.size] = SPECIAL[where % 8]
    a, w, b = bench.put(x), bench.put(weight), bench.put(np.ones_like(x))
    bench.call("rmsnorm", a, w, b, rows, cols, number=1e-6)
    with np.errstate(all="ignore"):
        expected = x / np.sqrt((x * x).mean(-1, keepdims=True) + np.float32(1e-6)) * weight
    assert np.allclose(bench.get(b, x.shape), expected, rtol=2e-6, equal_nan=True)


@given(rows=st.integers(0, 3), cols=SIZES, seed=st.integers(0, 99), where=st.integers(0, 99))
@quick
def test_layernorm_is_numpys_with_whatever_numbers(bench, rows, cols, seed, where):
    bench.next = BASE
    x, weight, bias = drawn(seed, rows, cols), drawn(seed + 1, cols), drawn(seed + 2, cols)
    if rows and where < 2 * x.size:
        x.flat[where % x.size] = SPECIAL[where % 6]
    a, w, c, b = bench.put(x), bench.put(weight), bench.put(bias), bench.put(np.ones_like(x))
    bench.call("layernorm", a, w, c, b, rows, cols, number=1e-5)
    with np.errstate(all="ignore"):
        centred = x - x.mean(-1, keepdims=True)
        variance = (centred * centred).mean(-1, keepdims=True)
        expected = centred / np.sqrt(variance + np.float32(1e-5)) * weight + bias
    assert np.allclose(bench.get(b, x.shape), expected, rtol=1e-4, atol=2e-5, equal_nan=True)


@given(n=st.integers(0, 20), seed=st.integers(0, 99))
@quick
def test_gelu_is_numpys_with_whatever_numbers(bench, n, seed):
    bench.next = BASE
    x = 4 * drawn(seed, n)
    x[: min(n, 6)] = SPECIAL[: min(n, 6)] if seed % 2 else x[: min(n, 6)]
    a, b = bench.put(x), bench.put(np.ones_like(x))
    bench.call("gelu", a, b, n)
    with np.errstate(all="ignore"):
        inner = np.float32(np.sqrt(2 / np.pi)) * (x + np.float32(0.044715) * (x * x * x))
        expected = np.float32(0.5) * x * (1 + np.tanh(inner))
    assert np.allclose(bench.get(b, n), expected, rtol=1e-5, atol=2e-6, equal_nan=True)


@given(heads=st.integers(0, 3), pairs=SIZES, near=st.booleans(), seed=st.integers(0, 99))
@quick
def test_rope_turns_pairs_of_neighbours_and_of_halves(bench, heads, pairs, near, seed):
    bench.next = BASE
    x, angles = drawn(seed, heads, 2 * pairs), drawn(seed + 1, pairs)
    cos, sin = np.cos(angles), np.sin(angles)
    a, b, c, s = (bench.put(v) for v in (x, np.ones_like(x), cos, sin))
    bench.call("rope", a, b, c, s, heads, pairs, 8 if near else 4, 4 if near else 4 * pairs)
    first = slice(0, None, 2) if near else slice(0, pairs)
    second = slice(1, None, 2) if near else slice(pairs, None)
    expected = np.empty_like(x)
    expected[:, first] = x[:, first] * cos - x[:, second] * sin
    expected[:, second] = x[:, first] * sin + x[:, second] * cos
    assert np.allclose(bench.get(b, x.shape), expected, rtol=1e-5, atol=1e-6)


@given(n=st.integers(0, 20), seed=st.integers(0, 99))
@quick
def test_swiglu_residual_and_append_are_numpys(bench, n, seed):
    bench.next = BASE
    gate, up = 20 * drawn(seed, n), drawn(seed + 1, n)
    gate[: min(n, 8)] = SPECIAL[: min(n, 8)] if seed % 2 else gate[: min(n, 8)]
    a, b, c = bench.put(gate), bench.put(up), bench.put(np.ones_like(gate))
    bench.call("swiglu", a, b, c, n)
    with np.errstate(all="ignore"):
        expected = gate / (1 + np.exp(-gate)) * up
    assert np.allclose(bench.get(c, n), expected, rtol=2e-6, atol=1e-37, equal_nan=True)
    bench.call("residual_add", a, b, c, n)
    with np.errstate(all="ignore"):
        assert np.array_equal(bench.get(c, n), gate + up, equal_nan=True)
    bench.call("cache_append", a, c, n)
    assert bench.get(c, n).tobytes() == gate.tobytes()


@given(ids=st.lists(st.integers(0, 6), max_size=4), cols=st.integers(1, 5))
@quick
def test_embedding_copies_the_tokens_rows(bench, ids, cols):
    bench.next = BASE
    table = drawn(3, 7, cols)
    a, t = bench.put(np.array(ids, dtype=np.int64)), bench.put(table)
    c = bench.put(np.ones((len(ids), cols), np.float32))
    bench.call("embedding", a, t, c, len(ids), cols)
    assert np.array_equal(bench.get(c, (len(ids), cols)), table[np.array(ids, dtype=np.int64)])


numbers = st.sampled_from([*SPECIAL.tolist(), 2.0, -2.0])


@given(rows=st.lists(st.lists(numbers, min_size=3, max_size=3), max_size=4), cols=st.integers(1, 3))
@quick
def test_argmax_takes_the_first_of_equals_and_the_first_nan_as_numpy_does(bench, rows, cols):
    bench.next = BASE
    x = np.array(rows, dtype=np.float32).reshape(len(rows), 3)[:, :cols]
    a, c = bench.put(x), bench.put(np.full(len(rows), -1))
    bench.call("argmax", a, c, len(rows), cols)
    expected = x.argmax(-1) if len(rows) else np.zeros(0)
    assert np.array_equal(bench.get(c, len(rows), np.int64), expected)


def test_a_token_outside_the_table_is_a_wild_access_with_its_line(bench):
    a, c = bench.put(np.array([2**40])), bench.put(np.zeros(4, np.float32))
    with pytest.raises(ExecutionError, match=r"`flw     f0, 0\(t0\)`: wild access of 4 bytes"):
        bench.call("embedding", a, c, c, 1, 4)


def blocked(bench, a, b, blocks_of_rows=BLOCK_ROWS, depth=BLOCK_DEPTH):
    """Run gemm.s over whole tiles of C, whose other elements are NaN before."""
    rows, k = a.shape
    n = b.shape[1]
    at_a, at_b = bench.put(a), bench.put(packed(b))
    at_c = bench.put(np.full((rows, n), np.nan, np.float32))
    buffer = bench.machine.program.symbols["gemm_packed"]
    for deep in range(0, k, depth):
        part = min(depth, k - deep)
        for row in range(0, rows - 3, blocks_of_rows):
            groups = min(blocks_of_rows, rows - row) // GROUP
            bench.call("gemm_pack", at_a + 4 * (row * k + deep), buffer, groups, part, 4 * k)
            bench.call(
                "gemm_tiles_add" if deep else "gemm_tiles",
                *(buffer, at_b + 16 * deep, at_c + 4 * row * n),
                *(groups, n // GROUP, part, 16 * k, 4 * n),
            )
    return bench.get(at_c, (rows, n))


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 14), st.integers(0, 14), st.integers(1, 9), st.integers(0, 2**31))
def test_packed_and_blocked_tiles_are_numpys_product_and_touch_nothing_else(m, n, k, seed):
    bench = Bench()
    a, b = drawn(seed, m, k), drawn(seed + 1, k, n)
    got = blocked(bench, a, b, blocks_of_rows=8, depth=4)
    rows, columns = m // 4 * 4, n // 4 * 4
    np.testing.assert_allclose(got[:rows, :columns], (a @ b)[:rows, :columns], rtol=1e-5, atol=1e-5)
    assert np.isnan(got[rows:]).all()
    assert np.isnan(got[:, columns:]).all()


def test_a_block_of_the_size_that_the_program_takes_fits_the_buffer(bench):
    a, b = drawn(3, BLOCK_ROWS + 4, BLOCK_DEPTH + 3), drawn(4, BLOCK_DEPTH + 3, 8)
    np.testing.assert_allclose(blocked(bench, a, b), a @ b, rtol=1e-4, atol=1e-4)


def test_tiles_carry_nan_and_infinity_to_their_own_elements(bench):
    a, b = np.ones((4, 3), np.float32), np.ones((3, 4), np.float32)
    a[1, 2], b[0, 3] = np.nan, np.inf
    np.testing.assert_array_equal(blocked(bench, a, b), a @ b)
