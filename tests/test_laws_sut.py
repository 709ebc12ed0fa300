"""Facts about quantizers: what is accepted, what is refused and how, how arrays go in."""

import functools

import numpy as np
import pytest
from errors import one_line

from refnet.laws import QuantizerUnderTest, run_laws
from refnet.laws.bound import Bound, Broken, Params, integral
from refnet.laws.sut import keywords_of, levels_of, parameters_of
from refnet.program import TERNARY, UINT2


def plain(x):
    return np.rint(x).astype(np.int8)


@pytest.mark.parametrize(
    ("given", "codes"),
    [
        (range(4), range(4)), ((-8, 7), range(-8, 8)), (UINT2, range(4)), (TERNARY, range(-1, 2)),
        ([0, 1, 2], range(3)), ([-1, 1], (-1, 1)), ({1, -1}, (-1, 1)), ((0, 1, 5), (0, 1, 5)),
        (np.array([3, 1, 2]), range(1, 4)),
    ],
)
def test_levels_have_many_forms_and_read_twice_the_same(given, codes):
    assert levels_of(given) == codes
    assert levels_of(levels_of(given)) == codes


@pytest.mark.parametrize(
    "given", [16, "abc", [1], [1, 1, 2], (0.5, 1.5), [True, False, 2], None, []]
)
def test_levels_that_are_none_are_refused(given):
    with pytest.raises(ValueError, match="levels") as error:
        levels_of(given)
    one_line(error)


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"tie": "half"}, "tie 'half'"), ({"nan": "drop"}, "nan 'drop'"),
        ({"infinity": "zero"}, "infinity 'zero'"), ({"division": "fast"}, "division 'fast'"),
        ({"inclusive": "left"}, "inclusive 'left'"), ({"packing": "msb"}, "packing 'msb'"),
        ({"passes": "inside"}, "passes 'inside'"), ({"dtypes": ()}, "dtypes"),
        ({"dtypes": ("int8",)}, "dtypes"), ({"scale": 0.0}, "scale 0.0"),
        ({"scale": float("nan")}, "scale nan"), ({"scale": [1.0, 2.0]}, "rule axis"),
        ({"axis": 0}, "axis"), ({"thresholds": [0.1]}, "thresholds"),
        ({"levels": (0, 2), "thresholds": [0.2, 0.1]}, "ascending"),
        ({"claims": "tie"}, "in a list"), ({"scale_range": (1.0, 0.5)}, "scale_range"),
        ({"scale_range": (0.0, 0.5)}, "scale_range"), ({"scale_dtype": "int8"}, "scale_dtype"),
    ],
)
def test_facts_that_do_not_fit_are_refused_in_one_line(facts, message):
    with pytest.raises(ValueError, match=message) as error:
        QuantizerUnderTest(plain, **facts)
    one_line(error)


def test_functions_are_functions_and_at_least_one():
    with pytest.raises(TypeError, match="rule a function"):
        QuantizerUnderTest(3)
    with pytest.raises(ValueError, match="no function"):
        QuantizerUnderTest(levels=(0, 1))


def general(x, bits, scale, zero_point):
    return x


def test_only_scale_and_zero_point_are_drawn():
    def two(x, scale, zero_point=0):
        return x

    assert parameters_of(two, 1) == ("scale",)
    assert parameters_of(functools.partial(two, scale=0.1), 1) == ()
    assert parameters_of(np.rint, 1) == ()
    assert keywords_of(two) == frozenset()
    # What follows a bound parameter is given by name.
    assert parameters_of(functools.partial(general, bits=8), 1) == ("scale", "zero_point")
    assert keywords_of(functools.partial(general, bits=8)) == {"scale", "zero_point"}
    with pytest.raises(ValueError, match="functools"):
        parameters_of(lambda x, bits: x, 1)
    with pytest.raises(ValueError, match="levels: rule given"):
        QuantizerUnderTest(two)
    with pytest.raises(ValueError, match="scale: given, and also"):
        QuantizerUnderTest(two, levels=(0, 3), scale=1.0)


def test_claims_need_their_facts_and_must_exist():
    with pytest.raises(ValueError, match="no such law"):
        run_laws(QuantizerUnderTest(plain, claims=["ties"]))
    with pytest.raises(ValueError, match="no such law"):
        run_laws(QuantizerUnderTest(plain, disclaims=["ties"]))
    with pytest.raises(ValueError, match="claimed without"):
        run_laws(QuantizerUnderTest(plain, claims=["tie"]))
    with pytest.raises(ValueError, match="no such law"):
        run_laws(QuantizerUnderTest(plain), laws=["ties"])
    with pytest.raises(ValueError, match="max_examples 0"):
        run_laws(QuantizerUnderTest(plain), max_examples=0)


@pytest.mark.parametrize(("axis", "ndim", "shape"), [
    (0, None, (3, 5)), (1, None, (5, 3)), (-1, None, (5, 3)), (1, 4, (5, 3, 1, 1)),
    (0, 4, (3, 5, 1, 1)), (None, None, (15,)), (None, 3, (15, 1, 1)),
])
def test_columns_are_embedded_and_come_back(axis, ndim, shape):
    scale = [1.0, 2.0, 4.0] if axis is not None else 1.0
    bound = Bound(QuantizerUnderTest(plain, scale=scale, axis=axis, ndim=ndim), Params())
    columns = np.arange(15.0).reshape(3 if axis is not None else 1, -1)
    array = bound.embed(columns)
    assert array.shape == shape
    assert np.array_equal(bound.columns(array, columns.shape), columns)
    if axis is not None:
        assert np.array_equal(np.take(array, 1, axis=axis).ravel(), columns[1])


def test_what_is_no_code_is_broken():
    for result in ([0.5], [np.nan], [np.inf], ["a"], [1, 2], 1j):
        with pytest.raises(Broken):
            integral(result, (1,), "quantize")
    assert integral(np.array([-0.0]), (1,), "q").tolist() == [0]
    assert integral([True], (1,), "q").tolist() == [1]


@pytest.mark.parametrize(
    "grad", [lambda x, g: g, lambda x: np.ones_like(x), lambda x, g, scale: g, lambda *a: a[1]]
)
def test_gradients_take_g_or_are_factors_of_it(grad):
    bound = Bound(QuantizerUnderTest(plain, scale=2.0, grad=grad), Params())
    x, g = np.zeros(3), np.array([1.0, -2.0, 3.0])
    assert np.array_equal(bound.gradient(x, g), g)


@pytest.mark.parametrize(
    ("types", "rule"),
    [
        ((-8, 7), "rule two ranges"),
        (((0, 3),), "rule two ranges"),
        (((0, 3), [-1, 1]), "codes with gaps"),
        (((0, 2**31 - 1), (-1, 2)), "a product is 4294967294"),
    ],
)
def test_codes_of_a_dot_product_that_do_not_fit(types, rule):
    with pytest.raises(ValueError, match=f"dot_types .*{rule}"):
        QuantizerUnderTest(dot=np.dot, dot_types=types)


@pytest.mark.parametrize("types", [((0, 3), (-1, 1)), ((-(2**15), 2**15 - 1),) * 2, ((0, 1),) * 2])
def test_right_sums_of_any_codes_pass(types):
    q = QuantizerUnderTest(
        dot=lambda x, w: (x.astype(np.int64) @ w.astype(np.int64).T).astype(np.int32),
        dot_types=types,
    )
    assert run_laws(q, max_examples=30).passed == ("dot_exact",)
