"""The vector kernels of a model's other operations against numpy, edge cases included."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vector_bench import BASE, SPECIAL, VLENS, Bench, drawn

from sim.cpu.riscv import ExecutionError
from sim.cpu.riscv.calls import BLOCK_DEPTH, BLOCK_ROWS, GROUP
from sim.cpu.riscv.decode_step import packed

vlens = st.sampled_from(VLENS)
sizes = st.one_of(st.integers(1, 9), st.integers(1, 150))
seeds = st.integers(0, 99)
quick = settings(deadline=None, max_examples=30)


@pytest.fixture(scope="module")
def benches():
    return {vlen: Bench(vlen) for vlen in VLENS}


@pytest.fixture
def bench(benches):
    benches[256].next = BASE
    return benches[256]


def fresh(benches, vlen):
    benches[vlen].next = BASE
    return benches[vlen]


def spoilt(x, where):
    """Put one special number somewhere, or none."""
    if x.size and where < 60:
        x.flat[where % x.size] = SPECIAL[where % 8]
    return x


@pytest.mark.parametrize("vlen", VLENS)
def test_the_vector_exponential_is_right_to_a_rounding_and_at_the_edges(benches, vlen):
    bench = fresh(benches, vlen)
    x = np.linspace(-87, 88.7, 997).astype(np.float32)
    a, b = bench.put(x), bench.put(x)
    bench.call("exp_array_vector", a, b, len(x))
    assert np.abs(bench.get(b, len(x)) / np.exp(x.astype(np.float64)) - 1).max() < 2e-7
    edges = np.array(
        [0, -0.0, np.nan, np.inf, -np.inf, -1000, 1000, 88.73, -103.98, -100], np.float32
    )
    a = bench.put(edges)
    bench.call("exp_array_vector", a, a, len(edges))
    with np.errstate(over="ignore"):
        assert np.allclose(bench.get(a, len(edges)), np.exp(edges), rtol=1e-6, equal_nan=True)


def columns(bench):
    """Columns of a packed panel: float32 in a group of four registers."""
    return bench.machine.vectors.vlen_bits // 8


@given(vlen=vlens, k=st.integers(0, 9), n=st.integers(0, 150), seed=seeds)
@quick
def test_a_product_with_packed_panels_is_numpys_for_any_shape(benches, vlen, k, n, seed):
    bench = fresh(benches, vlen)
    x, w = drawn(seed, k), drawn(seed + 1, k, n)
    a, b = bench.put(x), bench.put(packed(w, columns(bench)))
    c = bench.put(np.ones(n + 1, np.float32))
    bench.call("matmul_panels_vector", a, b, c, n, k)
    assert np.allclose(bench.get(c, n), x @ w, rtol=1e-5, atol=1e-6)
    assert bench.get(c, n + 1)[n] == 1  # what lies behind y stays


@given(vlen=vlens, k=st.integers(0, 150), n=st.integers(0, 11), seed=seeds)
@quick
def test_dot_products_along_k_are_numpys_for_any_shape(benches, vlen, k, n, seed):
    bench = fresh(benches, vlen)
    x, w = drawn(seed, k), drawn(seed + 1, n, k + 2)
    a, b, c = bench.put(x), bench.put(w), bench.put(np.ones(n + 1, np.float32))
    bench.call("matmul_rows_vector", a, b, c, n, k, 4 * (k + 2))
    assert np.allclose(bench.get(c, n), w[:, :k] @ x, rtol=1e-4, atol=1e-5)
    assert bench.get(c, n + 1)[n] == 1


@pytest.mark.parametrize("special", SPECIAL)
@pytest.mark.parametrize("kernel", ["matmul_panels_vector", "matmul_rows_vector"])
def test_both_products_carry_nan_and_infinities_as_numpy_does(bench, kernel, special):
    x, w = drawn(1, 37), drawn(2, 37, 35)
    x[36] = special
    rows = kernel == "matmul_rows_vector"
    a, b = bench.put(x), bench.put(np.ascontiguousarray(w.T) if rows else packed(w, columns(bench)))
    c = bench.put(np.zeros(35, np.float32))
    bench.call(kernel, a, b, c, 35, 37, 4 * 37)
    with np.errstate(all="ignore"):
        assert np.allclose(bench.get(c, 35), x @ w, rtol=1e-4, atol=1e-5, equal_nan=True)


def blocked(bench, a, b, blocks_of_rows=BLOCK_ROWS, depth=BLOCK_DEPTH):
    """Run gemm_vector.s over groups of four rows of C, which is NaN before."""
    rows, k = a.shape
    n, panel = b.shape[1], columns(bench)
    whole = n // panel * panel
    at_a, at_b = bench.put(a), bench.put(packed(b, panel))
    at_c = bench.put(np.full((rows, n), np.nan, np.float32))
    buffer = bench.machine.program.symbols["gemm_packed"]
    for deep in range(0, k, depth):
        part = min(depth, k - deep)
        kernel = "gemm_tiles_add_vector" if deep else "gemm_tiles_vector"
        for row in range(0, rows - 3, blocks_of_rows):
            groups = min(blocks_of_rows, rows - row) // GROUP
            bench.call("gemm_pack", at_a + 4 * (row * k + deep), buffer, groups, part, 4 * k)
            at, to = at_b + 4 * panel * deep, at_c + 4 * row * n
            bench.call(kernel, buffer, at, to, groups, whole, part, 4 * panel * k, 4 * n)
            at, to = at_b + 4 * (whole * k + (n - whole) * deep), to + 4 * whole
            bench.call(kernel, buffer, at, to, groups, n - whole, part, 0, 4 * n)
    return bench.get(at_c, (rows, n))


@given(vlen=vlens, m=st.integers(0, 14), n=st.integers(0, 70), k=st.integers(1, 9), seed=seeds)
@quick
def test_vector_tiles_are_numpys_product_and_touch_nothing_else(benches, vlen, m, n, k, seed):  # noqa: PLR0917 - a shape and its values
    bench = fresh(benches, vlen)
    a, b = drawn(seed, m, k), drawn(seed + 1, k, n)
    got = blocked(bench, a, b, blocks_of_rows=8, depth=4)
    rows = m // 4 * 4
    np.testing.assert_allclose(got[:rows], (a @ b)[:rows], rtol=1e-5, atol=1e-5)
    assert np.isnan(got[rows:]).all()


def test_a_block_of_the_programs_size_makes_numpys_product(bench):
    a, b = drawn(3, BLOCK_ROWS + 4, BLOCK_DEPTH + 3), drawn(4, BLOCK_DEPTH + 3, 40)
    np.testing.assert_allclose(blocked(bench, a, b), a @ b, rtol=1e-4, atol=1e-4)


def test_vector_tiles_carry_nan_and_infinity_to_their_own_elements(bench):
    a, b = np.ones((4, 3), np.float32), np.ones((3, 33), np.float32)
    a[1, 2], b[0, 3] = np.nan, np.inf
    np.testing.assert_array_equal(blocked(bench, a, b), a @ b)


@given(vlen=vlens, rows=st.integers(0, 3), cols=sizes, seed=seeds, where=st.integers(0, 99))
@quick
def test_vector_rmsnorm_is_numpys_with_whatever_numbers(  # noqa: PLR0917 - a shape and its values
    benches, vlen, rows, cols, seed, where
):
    bench = fresh(benches, vlen)
    x, weight = spoilt(drawn(seed, rows, cols), where), drawn(seed + 1, cols)
    a, w, b = bench.put(x), bench.put(weight), bench.put(np.ones_like(x))
    bench.call("rmsnorm_vector", a, w, b, rows, cols, number=1e-6)
    with np.errstate(all="ignore"):
        expected = x / np.sqrt((x * x).mean(-1, keepdims=True) + np.float32(1e-6)) * weight
    assert np.allclose(bench.get(b, x.shape), expected, rtol=3e-6, equal_nan=True)


@given(vlen=vlens, rows=st.integers(0, 3), cols=sizes, seed=seeds, where=st.integers(0, 99))
@quick
def test_vector_layernorm_is_numpys_with_whatever_numbers(  # noqa: PLR0917 - a shape and its values
    benches, vlen, rows, cols, seed, where
):
    bench = fresh(benches, vlen)
    x = spoilt(drawn(seed, rows, cols), where if where % 8 < 6 else 10**6)
    weight, bias = drawn(seed + 1, cols), drawn(seed + 2, cols)
    a, w, c, b = bench.put(x), bench.put(weight), bench.put(bias), bench.put(np.ones_like(x))
    bench.call("layernorm_vector", a, w, c, b, rows, cols, number=1e-5)
    with np.errstate(all="ignore"):
        centred = x - x.mean(-1, keepdims=True)
        variance = (centred * centred).mean(-1, keepdims=True)
        expected = centred / np.sqrt(variance + np.float32(1e-5)) * weight + bias
    assert np.allclose(bench.get(b, x.shape), expected, rtol=1e-4, atol=2e-5, equal_nan=True)


@given(vlen=vlens, n=st.integers(0, 150), seed=seeds)
@quick
def test_vector_gelu_is_numpys_with_whatever_numbers(benches, vlen, n, seed):
    bench = fresh(benches, vlen)
    x = 4 * drawn(seed, n)
    x[: min(n, 6)] = SPECIAL[: min(n, 6)] if seed % 2 else x[: min(n, 6)]
    a, b = bench.put(x), bench.put(np.ones_like(x))
    bench.call("gelu_vector", a, b, n)
    with np.errstate(all="ignore"):
        inner = np.float32(np.sqrt(2 / np.pi)) * (x + np.float32(0.044715) * (x * x * x))
        expected = np.float32(0.5) * x * (1 + np.tanh(inner))
    assert np.allclose(bench.get(b, n), expected, rtol=1e-5, atol=2e-6, equal_nan=True)


@given(vlen=vlens, n=st.integers(0, 150), seed=seeds)
@quick
def test_vector_swiglu_residual_and_append_are_numpys(benches, vlen, n, seed):
    bench = fresh(benches, vlen)
    gate, up = 20 * drawn(seed, n), drawn(seed + 1, n)
    gate[: min(n, 8)] = SPECIAL[: min(n, 8)] if seed % 2 else gate[: min(n, 8)]
    a, b, c = bench.put(gate), bench.put(up), bench.put(np.ones(n + 1, np.float32))
    bench.call("swiglu_vector", a, b, c, n)
    with np.errstate(all="ignore"):
        expected = gate / (1 + np.exp(-gate)) * up
    assert np.allclose(bench.get(c, n), expected, rtol=2e-6, atol=1e-37, equal_nan=True)
    bench.call("residual_add_vector", a, b, c, n)
    with np.errstate(all="ignore"):
        assert np.array_equal(bench.get(c, n), gate + up, equal_nan=True)
    bench.call("cache_append_vector", a, c, n)
    assert bench.get(c, n).tobytes() == gate.tobytes()
    assert bench.get(c, n + 1)[n] == 1  # what lies behind stays


@given(vlen=vlens, heads=st.integers(0, 3), pairs=sizes, near=st.booleans(), seed=seeds)
@quick
def test_vector_rope_turns_pairs_of_neighbours_and_of_halves(  # noqa: PLR0917 - a shape and its values
    benches, vlen, heads, pairs, near, seed
):
    bench = fresh(benches, vlen)
    x, angles = drawn(seed, heads, 2 * pairs), drawn(seed + 1, pairs)
    cos, sin = np.cos(angles), np.sin(angles)
    a, b, c, s = (bench.put(v) for v in (x, np.ones_like(x), cos, sin))
    apart = (8, 4) if near else (4, 4 * pairs)
    bench.call("rope_vector", a, b, c, s, heads, pairs, *apart)
    first = slice(0, None, 2) if near else slice(0, pairs)
    second = slice(1, None, 2) if near else slice(pairs, None)
    expected = np.empty_like(x)
    expected[:, first] = x[:, first] * cos - x[:, second] * sin
    expected[:, second] = x[:, first] * sin + x[:, second] * cos
    assert np.allclose(bench.get(b, x.shape), expected, rtol=1e-5, atol=1e-6)


@given(vlen=vlens, ids=st.lists(st.integers(0, 6), max_size=4), cols=sizes)
@quick
def test_vector_embedding_copies_the_tokens_rows(benches, vlen, ids, cols):
    bench = fresh(benches, vlen)
    table = drawn(3, 7, cols)
    a, t = bench.put(np.array(ids, dtype=np.int64)), bench.put(table)
    c = bench.put(np.ones((len(ids), cols), np.float32))
    bench.call("embedding_vector", a, t, c, len(ids), cols)
    assert np.array_equal(bench.get(c, (len(ids), cols)), table[np.array(ids, dtype=np.int64)])


def test_a_token_outside_the_table_is_a_wild_vector_access_with_its_line(bench):
    a, c = bench.put(np.array([2**40])), bench.put(np.zeros(4, np.float32))
    with pytest.raises(ExecutionError, match=r"`vle32.v v8, \(t0\)`: wild access of 4 bytes"):
        bench.call("embedding_vector", a, c, c, 1, 4)


@given(vlen=vlens, rows=st.integers(0, 3), cols=sizes, data=st.data())
@quick
def test_vector_argmax_takes_the_first_of_equals_and_the_first_nan_as_numpy_does(
    benches, vlen, rows, cols, data
):
    bench = fresh(benches, vlen)
    choices = SPECIAL[1:] if data.draw(st.booleans()) else SPECIAL
    draws = np.random.default_rng(data.draw(seeds))
    x = draws.choice(choices, (rows, cols)).astype(np.float32)
    if data.draw(st.booleans()):
        x = np.where(np.isnan(x), x, draws.standard_normal(x.shape)).astype(np.float32)
    a, c = bench.put(x), bench.put(np.full(rows, -1))
    bench.call("argmax_vector", a, c, rows, cols)
    expected = x.argmax(-1) if rows else np.zeros(0)
    assert np.array_equal(bench.get(c, rows, np.int64), expected)


@pytest.mark.parametrize("vlen", VLENS)
def test_of_numbers_that_are_all_minus_infinity_the_first_is_the_largest(benches, vlen):
    bench = fresh(benches, vlen)
    a, c = bench.put(np.full(70, -np.inf, np.float32)), bench.put(np.full(1, -1))
    bench.call("argmax_vector", a, c, 1, 70)
    assert bench.get(c, 1, np.int64) == [0]
