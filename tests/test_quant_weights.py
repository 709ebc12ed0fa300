"""Weight quantizers: each rule against its formula written plainly, degenerates."""

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refnet.autograd import Tensor
from refnet.program import SINT8, TERNARY
from refnet.quant import BWN, TTQ, TWN, WEIGHT_QUANTIZERS, DoReFaWeights, LQWeights, Ternary
from refnet.quant.lqnets import solve_basis
from refnet.quant.ternary import optimal_ternary, ternary_rows
from refnet.quant.weights import quantize_rows

RULES = [
    *(make() for make in WEIGHT_QUANTIZERS), DoReFaWeights(bits=1), DoReFaWeights(bits=8),
    LQWeights(basis=(1.0,)), LQWeights(basis=(1.0, 2.0, 4.0)), TTQ(t=0.5), TWN(factor=1.5),
]
every = pytest.mark.parametrize("rule", RULES, ids=repr)

# Small integers make every sum exact, and ties and equal magnitudes frequent.
filters = st.lists(st.integers(-6, 6), min_size=1, max_size=9).map(
    lambda values: np.array([values], dtype=float)
)


def quantized(rule, w):
    """Codes, scales and the weights they stand for, from the state of the start."""
    codes, scale = rule.rows(w, rule.start(w))
    return codes, scale, scale[:, None] * codes


@given(filters)
def test_twn_is_its_formula(w):
    size = [abs(v) for v in w[0]]
    threshold = 0.7 * (sum(size) / len(size))
    kept = [s for s in size if s > threshold]
    codes, scale = TWN().rows(w)
    assert codes[0].tolist() == [int(np.sign(v)) if abs(v) > threshold else 0 for v in w[0]]
    # The product 0.7 * mean is one rounding here and there, the mean of the kept another.
    assert scale[0] == pytest.approx(sum(kept) / len(kept) if kept else 1.0, rel=1e-15)
    assert bool(codes.any()) == bool(w.any())


def test_twn_keeps_what_is_beyond_the_threshold_not_on_it():
    w = np.array([[2.0, 1.0, -1.0, 0.0]])
    assert TWN(factor=1.0).rows(w)[0].tolist() == [[1, 0, 0, 0]]
    assert TWN(factor=0.999).rows(w)[0].tolist() == [[1, 1, -1, 0]]
    # A factor of one or more can leave nothing of a filter; it is dead and says so by zero codes.
    codes, scale = TWN(factor=1.0).rows(np.array([[1.0, -1.0], [3.0, 1.0]]))
    assert codes.tolist() == [[0, 0], [1, 0]]
    assert scale.tolist() == [1.0, 3.0]


def test_twn_of_normal_weights_is_near_the_optimum():
    w = np.random.default_rng(0).normal(size=(1, 200_000))
    codes, scale, found = quantized(TWN(), w)
    # Delta = 0.7 E|w| = 0.5585 and alpha = phi(Delta) / Q(Delta). Five standard deviations of the
    # mean of n numbers are below 5 / sqrt(n).
    slack = 5 / math.sqrt(w.size)
    assert abs(scale[0] - 1.1848) < slack
    assert abs(np.mean(codes == 0) - 0.4235) < slack
    best = ternary_rows(w)
    optimum = np.sum((w - best[1][:, None] * best[0]) ** 2)
    assert optimum <= np.sum((w - found) ** 2) <= 1.02 * optimum


@given(filters)
def test_bwn_is_sign_and_mean_magnitude_and_nothing_binary_is_nearer(w):
    codes, scale, found = quantized(BWN(), w)
    if not w.any():
        assert not codes.any()
        assert scale.tolist() == [1.0]
        return
    assert codes[0].tolist() == [-1 if v < 0 else 1 for v in w[0]]
    assert scale[0] == pytest.approx(sum(abs(v) for v in w[0]) / w.size, rel=1e-15)
    error = np.sum((w - found) ** 2)
    for other in product((-1, 1), repeat=min(w.size, 6)):
        c = np.array([[*other, *codes[0, 6:]]])
        step = (w @ c[0])[0] / w.size
        assert error <= np.sum((w - step * c) ** 2) + 1e-12


@given(filters, st.sampled_from([0.0, 0.05, 0.5]))
def test_ttq_is_its_formula(w, t):
    rule = TTQ(t=t)
    threshold = t * max(abs(v) for v in w[0])
    above = [v for v in w[0] if v > threshold]
    below = [-v for v in w[0] if v < -threshold]
    state = rule.start(w)
    means = [sum(s) / len(s) if s else None for s in (above, below)]
    expected = [means[0] or means[1] or 1.0, means[1] or means[0] or 1.0]
    assert state[0] == pytest.approx(expected, rel=1e-15)
    codes, _, found = quantized(rule, w)
    real = [
        state[0, 0] if v > threshold else -state[0, 1] if v < -threshold else 0 for v in w[0]
    ]
    # Rounding to the grid: half a code, 1/254 of the larger scale.
    assert np.abs(found - real).max() <= max(expected) / 254 * (1 + 1e-12)
    assert set(codes[0].tolist()) & {127, -127} or not w.any()
    assert np.array_equal(codes[0] == 0, np.array(real) == 0)


def test_ttq_scales_of_any_sign_and_size_stay_within_half_a_code():
    w = np.array([[1.0, -1.0, 0.0]] * 4)
    state = np.array([[0.5, 2.0], [-0.3, 0.1], [0.0, 0.0], [1e-9, 1.0]])
    codes, scale = TTQ().rows(w, state)
    assert codes.tolist() == [[32, -127, 0], [-127, -42, 0], [0, 0, 0], [0, -127, 0]]
    real = np.stack([state[:, 0], -state[:, 1], np.zeros(4)], axis=1)
    assert np.all(np.abs(scale[:, None] * codes - real) <= np.abs(state).max(1)[:, None] / 253.9)


@given(
    bits=st.integers(1, 8), values=st.lists(st.floats(-3, 3), min_size=1, max_size=9),
)
def test_dorefa_is_its_formula(bits, values):
    n = 2**bits - 1
    top = max(abs(math.tanh(v)) for v in values)
    rule = DoReFaWeights(bits=bits)
    codes = rule.rows(np.array([values]), np.ones((1, 1)))[0][0]
    if top == 0:
        top = 1.0
    for code, v in zip(codes.tolist(), values, strict=True):
        place = n * (math.tanh(v) / (2 * top) + 0.5)
        nearest = (code + n) / 2
        assert nearest == int(nearest)
        # tanh here and in NumPy may differ in the last digit, so a near tie may go either way.
        assert abs(place - nearest) <= 0.5 + 1e-9


def test_dorefa_ties_go_up_and_the_paper_has_gain_one():
    for bits in range(1, 9):
        rule = DoReFaWeights(bits=bits)
        assert rule.codes(np.array([0.0, -0.0])).tolist() == [1, 1]
        assert rule.values(np.array([rule.type.hi, rule.type.lo])).tolist() == [1.0, -1.0]
    # The largest double below a tie must not be rounded up with it: 1/2 - 6e-17 is one.
    rule = DoReFaWeights(bits=1)
    assert rule.codes(np.array([-1e-300, -5e-17, -1.2e-16])).tolist() == [1, 1, -1]


def test_dorefa_takes_one_range_for_the_layer_and_a_gain_for_each_filter():
    w = np.random.default_rng(0).normal(size=(4, 30)) * [[0.1], [1.0], [3.0], [0.0]]
    rule = DoReFaWeights()
    codes, scale, found = quantized(rule, w)
    assert np.array_equal(codes[:3], rule.fit(w).codes(w)[:3])
    assert np.abs(codes[0]).max() == 1
    for f in range(3):
        for change in (0.99, 1.01):
            assert np.sum((w[f] - found[f]) ** 2) < np.sum((w[f] - found[f] * change) ** 2)
    assert not codes[3].any()
    assert scale[3] == 1.0


def nearest(x, levels):
    """The nearest level, the lower one on a tie, by exhaustion."""
    return min(sorted(levels), key=lambda level: abs(x - level))


@given(
    st.lists(st.integers(-6, 6), min_size=1, max_size=9),
    st.lists(st.sampled_from([-2.0, 0.5, 1.0, 1.5, 4.0]), min_size=1, max_size=3),
)
def test_lqnets_takes_the_nearest_sum_of_its_basis(values, basis):
    signs = list(product((-1, 1), repeat=len(basis)))
    levels = [sum(s * v for s, v in zip(row, basis, strict=True)) for row in signs]
    rule = LQWeights(basis=tuple(basis))
    w = np.array([values], dtype=float)
    codes, scale = rule.rows(w, np.array([basis]))
    reach = sum(abs(v) for v in basis)
    expected = [nearest(v, levels) for v in values]
    assert np.array_equal(codes[0], rule.codes(w[0]))
    if codes.any():
        # Half a code of 127 for the largest level.
        assert np.abs(scale[0] * codes[0] - expected).max() <= reach / 254 * (1 + 1e-12)
        assert np.array_equal(rule.values(codes[0]), scale[0] * codes[0])


@given(
    st.lists(st.integers(-9, 9), min_size=1, max_size=12), st.integers(1, 3),
    st.sampled_from([(-1, 1), (0, 1)]),
)
def test_a_step_of_lqnets_solves_its_normal_equations_and_never_errs_more(values, k, digits):
    x = np.array([values], dtype=float)
    if digits == (0, 1):
        x = np.abs(x)
    bits = np.array(list(product(digits, repeat=k)), dtype=float)

    def encoded(basis):
        levels = bits @ basis
        order = sorted(range(len(bits)), key=lambda i: (levels[i], i))
        return np.array([bits[min(order, key=lambda i: abs(v - levels[i]))] for v in x[0]])

    basis = np.array([[1.0, 2.5, 4.5][:k]])
    for _ in range(4):
        B = encoded(basis[0])
        before = np.sum((x[0] - B @ basis[0]) ** 2)
        basis = solve_basis(x, basis, bits)
        residual = B.T @ (x[0] - B @ basis[0])
        # Small integers, at most 12 of them: rounding stays far below 1e-9.
        assert np.abs(residual).max() < 1e-9
        assert np.sum((x[0] - B @ basis[0]) ** 2) <= before + 1e-9
        after = np.sum((x[0] - encoded(basis[0]) @ basis[0]) ** 2)
        assert after <= np.sum((x[0] - B @ basis[0]) ** 2) + 1e-9


def test_lqnets_of_one_bit_is_bwn_and_more_bits_err_less():
    w = np.random.default_rng(1).normal(size=(5, 200))
    one = LQWeights(basis=(1.0,))
    assert one.start(w)[:, 0] == pytest.approx(BWN().rows(w)[1], rel=1e-12)
    assert np.array_equal(np.sign(one.rows(w, one.start(w))[0]), BWN().rows(w)[0])
    errors = [
        np.sum((w - quantized(LQWeights(basis=basis), w)[2]) ** 2)
        for basis in ((1.0,), (1.0, 2.0), (1.0, 2.0, 4.0))
    ]
    # Relative errors of the best 1, 2 and 3-bit quantizers of normal numbers, for reference:
    # 0.363, 0.118, 0.0345. Sums of a basis are tied to each other, so 3 bits lie a little above.
    assert np.array(errors) / np.sum(w**2) == pytest.approx([0.363, 0.118, 0.04], rel=0.15)


def test_lqnets_bases_move_as_a_running_average():
    w = np.random.default_rng(2).normal(size=(3, 50))
    rule = LQWeights(momentum=0.75)
    basis = rule.start(w) * 1.5
    bits = np.array(list(product((-1, 1), repeat=2)), dtype=float)
    expected = 0.75 * basis + 0.25 * solve_basis(w, basis, bits)
    assert np.array_equal(rule.refresh(w, basis), expected)
    for _ in range(60):
        basis = rule.refresh(w, basis)
    assert basis == pytest.approx(solve_basis(w, basis, bits), rel=1e-3)


@given(
    st.lists(st.lists(st.integers(-4, 4), min_size=5, max_size=5), min_size=1, max_size=6),
    st.sampled_from([1.0, 0.3, 1e-300, 1e300]),
)
def test_all_rows_of_the_ternary_optimum_are_solved_as_one_by_one(rows, size):
    w = np.array(rows, dtype=float) * size
    codes, alpha = ternary_rows(w)
    for f in range(len(w)):
        one, scale = optimal_ternary(w[f])
        assert np.array_equal(codes[f], one)
        assert alpha[f] == scale


@every
def test_rows_are_what_fit_gives_each_filter_and_take_no_notice_of_each_other(rule):
    w = np.random.default_rng(3).normal(size=(6, 40))
    codes, scale, found = quantized(rule, w)
    assert codes.dtype == rule.type.dtype
    assert rule.type.contains(codes)
    assert scale.shape == (6,)
    if isinstance(rule, DoReFaWeights):  # its range is the layer's
        return
    state = rule.start(w)
    for f in range(6):
        one = rule.fit(w[f])
        # The sum of a row and of a row on its own may be added in another order.
        assert np.array_equal(one.codes(w[f]), codes[f])
        assert one.values(codes[f]) == pytest.approx(found[f], rel=1e-12)
        alone = rule.rows(w[f : f + 1], state[f : f + 1])
        assert np.array_equal(alone[0][0], codes[f])


@every
@pytest.mark.parametrize(
    "w",
    [
        np.zeros((2, 3)), np.array([[0.0, 0.0], [1.0, -2.0]]), np.full((2, 4), 0.3),
        np.full((1, 4), -0.3), np.array([[0.7]]), np.array([[-0.7]]), np.array([[0.0]]),
        np.array([[1e-300, -1e-300]]), np.array([[1e300, -1e300, 0.0]]), np.eye(3),
    ],
    ids=repr,
)
def test_degenerate_filters_have_finite_weights_and_dead_ones_zero_codes_and_scale_one(rule, w):
    codes, scale, found = quantized(rule, w)
    assert rule.type.contains(codes)
    assert np.all(np.isfinite(found))
    assert np.all(np.isfinite(scale))
    assert np.all(scale != 0)
    dead = ~codes.any(axis=1)
    assert np.all(scale[dead] == 1.0)
    assert np.all(dead[~w.any(axis=1)])
    if rule not in (TWN(factor=1.5),):
        assert np.array_equal(dead, ~w.any(axis=1)) or np.abs(w).max() < 1e-200
    state = rule.refresh(w, rule.start(w))
    assert np.all(np.isfinite(state))
    g = np.ones_like(w)
    assert all(np.all(np.isfinite(part)) for part in rule.gradient(g, w, rule.start(w)))
    constant = np.all(w == w[0, 0]) and w.any() and np.abs(w).max() < 1e100
    if constant and isinstance(rule, BWN | Ternary | TWN) and rule != TWN(factor=1.5):
        assert found == pytest.approx(w, rel=1e-15)


@every
def test_nan_and_infinity_are_refused_by_name(rule):
    for bad in (np.nan, np.inf):
        latent = np.array([[1.0, bad]])
        with pytest.raises(ValueError, match=f"{type(rule).__name__}: weights: holds NaN or inf"):
            quantize_rows(Tensor(latent), rule.start(np.ones((1, 2))), quantizer=rule)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@every
def test_the_function_has_shape_and_dtype_of_the_latents(rule, dtype):
    w = np.random.default_rng(7).normal(size=(3, 2, 2, 2)).astype(dtype)
    state = rule.start(w.reshape(3, -1).astype(float)).astype(dtype)
    y = quantize_rows(Tensor(w, requires_grad=True), state, quantizer=rule)
    assert y.shape == w.shape
    assert y.dtype == dtype
    codes, scale = rule.rows(w.reshape(3, -1).astype(float), state.astype(float))
    expected = codes.astype(dtype) * scale.astype(dtype)[:, None]
    assert np.array_equal(y.numpy().reshape(3, -1), expected)


def test_types_of_the_codes():
    assert [q.type for q in (Ternary(), TWN(), BWN())] == [TERNARY] * 3
    assert [q.type for q in (TTQ(), LQWeights())] == [SINT8] * 2
    assert [DoReFaWeights(bits=b).type.hi for b in (1, 2, 8)] == [1, 3, 255]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: TWN(factor=0.0), "factor"), (lambda: TWN(alpha=-1.0), "alpha"),
        (lambda: TWN(threshold=np.nan), "threshold"), (lambda: BWN(alpha=0.0), "alpha"),
        (lambda: TTQ(t=1.0), "t 1.0"), (lambda: TTQ(positive=0.0, negative=0.0), "both 0"),
        (lambda: TTQ(threshold=-1.0), "threshold"), (lambda: TTQ(negative=np.inf), "finite"),
        (lambda: DoReFaWeights(bits=0), "bits=0"), (lambda: DoReFaWeights(bits=9), "bits=9"),
        (lambda: DoReFaWeights(top=1.5), "top"), (lambda: DoReFaWeights(gain=0.0), "gain"),
        (lambda: LQWeights(basis=()), "1 to 3"), (lambda: LQWeights(basis=(1.0,) * 4), "1 to 3"),
        (lambda: LQWeights(basis=(np.nan,)), "finite"), (lambda: LQWeights(momentum=1.0), "mom"),
    ],
)
def test_settings_that_are_none_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
