"""The vector kernels of products and softmax against numpy, edge cases included."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vector_bench import BASE, SPECIAL, VLENS, Bench, drawn

quick = settings(deadline=None, max_examples=40)


@pytest.fixture(scope="module")
def benches():
    return {vlen: Bench(vlen) for vlen in VLENS}


@given(
    vlen=st.sampled_from(VLENS), k=st.integers(0, 9), n=st.integers(0, 150), seed=st.integers(0, 99)
)
@quick
def test_a_vector_product_is_numpys_for_any_shape(benches, vlen, k, n, seed):
    bench = benches[vlen]
    bench.next = BASE
    x, w = drawn(seed, k), drawn(seed + 1, k, n + 2)
    a, b, c = bench.put(x), bench.put(w), bench.put(np.ones(n + 1, np.float32))
    bench.call("matmul_vector", a, b, c, n, k, 4 * (n + 2))
    assert np.allclose(bench.get(c, n), x @ w[:, :n], rtol=1e-5, atol=1e-6)
    assert bench.get(c, n + 1)[n] == 1  # what lies behind y stays


@pytest.mark.parametrize("special", SPECIAL)
def test_a_vector_product_carries_nan_and_infinities_as_numpy_does(benches, special):
    bench = benches[128]
    bench.next = BASE
    x, w = drawn(1, 5), drawn(2, 5, 35)
    x[2] = special
    a, b, c = bench.put(x), bench.put(w), bench.put(np.zeros(35, np.float32))
    bench.call("matmul_vector", a, b, c, 35, 5, 4 * 35)
    with np.errstate(all="ignore"):
        assert np.allclose(bench.get(c, 35), x @ w, rtol=1e-5, equal_nan=True)


def softmax(x, scale):
    with np.errstate(all="ignore"):
        e = np.exp(x * np.float32(scale) - (x * np.float32(scale)).max(-1, keepdims=True))
        return e / e.sum(-1, keepdims=True)


@given(
    vlen=st.sampled_from(VLENS),
    rows=st.integers(0, 3),
    columns=st.integers(0, 150),
    scale=st.sampled_from([1.0, 0.125, 60.0]),
    seed=st.integers(0, 99),
)
@quick
def test_vector_softmax_is_numpys_for_any_shape(  # noqa: PLR0917 - a shape and its values
    benches, vlen, rows, columns, scale, seed
):
    bench = benches[vlen]
    bench.next = BASE
    x = drawn(seed, rows, columns)
    a, b = bench.put(x), bench.put(np.ones((rows, columns), np.float32))
    bench.call("softmax_vector", a, b, rows, columns, number=scale)
    if x.size:
        assert np.allclose(bench.get(b, x.shape), softmax(x, scale), rtol=2e-6, atol=1e-7)


@pytest.mark.parametrize("special", SPECIAL)
@pytest.mark.parametrize("place", [0, 17])
def test_vector_softmax_treats_special_values_as_numpy_does(benches, special, place):
    bench = benches[128]
    bench.next = BASE
    x = drawn(3, 2, 18)
    x[0, place] = special
    a, b = bench.put(x), bench.put(np.zeros_like(x))
    bench.call("softmax_vector", a, b, 2, 18)
    assert np.allclose(bench.get(b, x.shape), softmax(x, 1.0), rtol=1e-5, equal_nan=True)


def test_a_longer_register_needs_fewer_instructions(benches):
    retired = []
    for bench in benches.values():
        bench.next, before = BASE, bench.machine.retired
        a, b, c = (bench.put(drawn(n, size)) for n, size in enumerate((8, 8 * 512, 512)))
        bench.call("matmul_vector", a, b, c, 512, 8, 4 * 512)
        retired.append(bench.machine.retired - before)
    # Strips of 8, 32, 64 and 128 columns: 8 rows of six instructions and 12 more; 7 at the ends.
    assert retired == [60 * strips + 7 for strips in (64, 16, 8, 4)]
