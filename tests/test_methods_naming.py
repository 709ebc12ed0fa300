"""Methods with options, as they are written on the command line."""

import pytest

from refnet.methods import METHODS, PEERS, BlockTerm, Factorized, TwoStep
from refnet.methods.naming import methods_of, tag_of


def test_names_alone_give_the_defaults():
    assert methods_of(None) == (TwoStep(), Factorized(), BlockTerm())
    assert methods_of("blockterm,twostep") == (BlockTerm(), TwoStep())
    for method in (*(make() for make in METHODS), *PEERS):
        assert methods_of(method.name) == (method,)
        assert tag_of(method) == ""


def test_options_are_the_fields_of_the_record():
    text = "twostep(weight_bits=2, theta=0.5), factorized(k=16,bits=12),blockterm(blocks=(1,2))"
    assert methods_of(text) == (
        TwoStep(weight_bits=2, theta=0.5), Factorized(k=16, bits=12), BlockTerm(blocks=(1, 2)),
    )
    assert methods_of("twostep(form=fixed, weight_bits='ternary')") == (
        TwoStep(form="fixed", weight_bits="ternary"),
    )
    assert methods_of("blockterm(response=None)")[0].response is None
    assert methods_of("twostep()") == (TwoStep(),)


def test_a_method_is_named_once():
    assert methods_of("twostep,twostep(bits=2)") == (TwoStep(),)
    with pytest.raises(ValueError, match="'twostep': twice with different options"):
        methods_of("twostep,twostep(bits=3)")


@pytest.mark.parametrize(("text", "message"), [
    ("threestep", "method 'threestep': exist twostep, factorized, blockterm, direct"),
    ("twostep(bit=2)", "method 'twostep': no option 'bit'; has bits, theta"),
    ("twn(bits=2)", "method 'twn': no option 'bits'; it has none"),
    ("twostep(2)", r"rule OPTION=VALUE in the parentheses"),
    ("twostep(**x)", r"rule OPTION=VALUE in the parentheses"),
    ("twostep(bits=", "rule NAME or NAME"),
    ("twostep(bits=1+print())", r"bits=1 \+ print\(\): rule a number"),
    ("twostep(samples=many)", "method 'twostep': "),
    ("twostep(samples=0)", "TwoStep: samples=0"),
    ("factorized(k=2, error=0.1)", "Factorized: k=2, error=0.1"),
    ("", "rule NAME"),
    ("a.b", "method 'a.b': exist"),
])
def test_what_is_wrong_is_named_in_one_line(text, message):
    with pytest.raises(ValueError, match=message) as caught:
        methods_of(text)
    assert "\n" not in str(caught.value)


def test_other_options_have_other_checkpoints():
    tags = [tag_of(methods_of(f"twostep(bits={bits})")[0]) for bits in (2, 3, 4)]
    assert tags[0] == ""
    assert len(set(tags)) == 3
