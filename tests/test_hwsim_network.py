"""Networks with named columns, the published networks, and their layers under a method."""

import pytest
from hwsim_cases import ALEXNET, small_program
from hypothesis import given
from hypothesis import strategies as st

from hwsim import from_program, presets, read_topology, simulate
from hwsim.cli import main
from hwsim.layers import Gemm, Vector
from hwsim.network import parameters
from hwsim.shapes import METHODS, Shape, as_method, ranks_within

FOLDER = ALEXNET.parent

# Multiply-accumulates and parameters, to the last one, and as they are usually quoted.
PUBLISHED = {
    "alexnet_grouped": (724_406_816, 60_965_224),  # 724 M, 61.0 M: two groups, 227 x 227
    "alexnet_ungrouped": (1_135_256_096, 62_378_344),  # 1.13 G: the same widths, no groups
    "alexnet_one_tower": (714_188_480, 61_100_840),  # 714 M, 61.1 M: 64-192-384-256-256
    "vgg16": (15_470_264_320, 138_357_544),  # 15.47 G, 138.36 M
    "resnet18": (1_814_073_344, 11_689_512),  # 1.81 G, 11.69 M
    "resnet34": (3_663_761_408, 21_797_672),  # 3.66 G, 21.80 M
    "resnet50": (4_089_184_256, 25_557_032),  # 4.09 G, 25.56 M: stride in the 3 x 3
    "mobilenet_v1": (568_740_352, 4_231_976),  # 569 M, 4.23 M
    "mobilenet_v2": (300_774_272, 3_504_872),  # 300.8 M, 3.50 M
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_networks(name):
    network = read_topology(FOLDER / f"{name}.csv")
    assert (network.macs, parameters(network)) == PUBLISHED[name]
    assert network.layers[0].input.elements in (3 * 224 * 224, 3 * 227 * 227)
    assert network.layers[-1].output.elements == 1000


@pytest.mark.parametrize("name", PUBLISHED)
def test_maps_follow_each_other(name):
    """What a layer reads is what some earlier layer wrote."""
    written = {3 * 224 * 224, 3 * 227 * 227}
    for layer in read_topology(FOLDER / f"{name}.csv").layers:
        inputs = layer.inputs if isinstance(layer, Vector) else (layer.input,)
        assert all(operand.elements in written for operand in inputs), layer.name
        written.add(layer.output.elements)


HEADER = "name,kind,height,width,channels,filters,kernel,stride,padding,dilation,groups,batch,after"


def read(tmp_path, *lines, header=HEADER):
    (tmp_path / "n.csv").write_text("\n".join([header, *lines]))
    return read_topology(tmp_path / "n.csv")


def test_a_convolution_with_everything(tmp_path):
    (layer,) = read(tmp_path, "c,conv,9,11,6,4,3x2,2x1,0+1x2,1x3,2,5,norm").layers
    assert layer.window.output == ((9 + 1 - 3) // 2 + 1, 11 + 4 - 3 - 1 + 1)
    assert layer.window.padding == ((0, 1), (2, 2))
    assert (layer.groups, layer.m, layer.k, layer.n) == (2, 5 * 4 * 12, 3 * 3 * 2, 2)
    assert layer.additions == layer.output.elements == 5 * 4 * 12 * 4
    assert layer.parameter_bits == 2 * 4 * 32


def test_element_wise_layers(tmp_path):
    rows = "p,maxpool,9,9,4,,3,2,1,,,2,", "q,avgpool,6,6,4,,3,,,,,,", "s,add,6,6,4,,,,,,,3,"
    p, q, s = read(tmp_path, *rows).layers
    assert (p.kind, p.comparisons, p.output.elements) == ("MaxPool", 200 * 8, 200)
    assert (q.kind, q.additions, q.multiplications) == ("AvgPool", 16 * 8, 16)
    assert (s.kind, s.additions, len(s.inputs), s.output.elements) == ("Add", 432, 2, 432)


def test_columns_in_any_order_comments_and_trailing_commas(tmp_path):
    network = read(
        tmp_path, "# a comment", "10,fc,linear,7,", "", "10,fc2,linear,7",
        header="filters,name,kind,Channels,",
    )
    assert [(la.name, la.m, la.k, la.n) for la in network.layers] == [
        ("fc", 1, 7, 10), ("fc2", 1, 7, 10),
    ]


MALFORMED = [
    ("c,conv,8,8,1,1,3,,,,,", "12 fields, rule 13 as in the header"),
    ("c,lstm,8,8,1,1,3,,,,,,", "kind 'lstm', rule conv, linear, maxpool, avgpool, add"),
    (",conv,8,8,1,1,3,,,,,,", "no name, rule one for kind 'conv'"),
    ("c,conv,8,8,1,,3,,,,,,", "no filters, rule one for kind 'conv'"),
    ("c,add,8,8,1,2,,,,,,,", "filters '2', rule none for kind 'add'"),
    ("c,conv,8,8,0,1,3,,,,,,", "channels '0', rule an integer from 1"),
    ("c,conv,8,8,-1,1,3,,,,,,", "channels '-1', rule an integer from 1"),
    ("c,conv,8,8,1,1000000001,3,,,,,,", "filters '1000000001', rule"),
    ("c,conv,8,8,1,1,3x3x3,,,,,,", "kernel '3x3x3', rule one number or height x width"),
    ("c,conv,8,8,1,1,3,,1x1x1,,,,", "padding '1x1x1', rule one entry or height x width"),
    ("c,conv,8,8,1,1,3,,1+1+1,,,,", "padding '1+1+1', rule one number or before+after"),
    ("c,conv,8,8,1,1,3,,-1,,,,", "padding '-1', rule an integer from 0"),
    ("c,conv,8,8,1,1,9,,,,,,", "kernel reaches 9 on 8 padded places, rule not more"),
    ("c,conv,8,8,1,1,3,,,4,,,", "kernel reaches 9 on 8 padded places, rule not more"),
    ("c,conv,8,8,3,2,3,,,,2,,", "channels 3, rule a multiple of groups 2"),
    ("c,conv,8,8,2,3,3,,,,2,,", "filters 3, rule a multiple of groups 2"),
    ("c,conv,8,8,1,1,3,,,,,,relu", "after 'relu', rule bias, norm or nothing"),
    ("c,maxpool,8,8,1,,2,,2,,,,", "padding (2, 2), rule below kernel 2"),
]


@pytest.mark.parametrize(("line", "seen"), MALFORMED)
def test_malformed_lines_are_named(tmp_path, line, seen):
    with pytest.raises(ValueError, match="rule") as caught:
        read(tmp_path, "", line)
    assert str(caught.value).startswith(f"{tmp_path / 'n.csv'}:3: {seen}")


def test_malformed_files(tmp_path):
    for header, seen in (("name,kind,depth", "column 'depth', rule each once of"),
                         ("name,kind,name", "column 'name', rule each once of")):
        with pytest.raises(ValueError, match=f"n.csv:1: {seen}"):
            read(tmp_path, "a", header=header)
    with pytest.raises(ValueError, match=r"n\.csv: .*no layers"):
        read(tmp_path)
    with pytest.raises(ValueError, match=r"n\.csv: .*'a' appears twice"):
        read(tmp_path, "a,linear,1,1", "a,linear,1,1", header="name,kind,channels,filters")


@given(st.text(max_size=60))
def test_any_text_gives_layers_or_a_value_error(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "network.csv"
    path.write_text(f"{HEADER}\n{text}", encoding="utf-8", errors="replace")
    message = ""
    try:
        read_topology(path)
    except ValueError as error:
        message = str(error)
    assert not message or message.startswith(f"{path}:")


def products(workload):
    return [layer for layer in workload.layers if isinstance(layer, Gemm)]


@pytest.mark.parametrize("name", PUBLISHED)
@pytest.mark.parametrize("method", METHODS)
def test_methods_keep_edges_and_maps(name, method):
    before = read_topology(FOLDER / f"{name}.csv")
    after = as_method(before, Shape(method=method))
    for i in (0, -1):
        old, new = products(before)[i], products(after)[i]
        assert (old.name, old.weights, old.macs) == (new.name, new.weights, new.macs)
    maps = {layer.name: layer.output.elements for layer in after.layers}
    for layer in before.layers:
        parts = [n for n in maps if n == layer.name or n.startswith(f"{layer.name}.")]
        assert maps[parts[-1]] == layer.output.elements
    assert simulate(after, presets.BISMO_8X256X8).total_cycles > 0


def test_twostep_is_ternary_on_two_bits():
    after = as_method(read_topology(FOLDER / "resnet18.csv"), Shape(method="twostep"))
    inner = products(after)[1:-1]
    assert {(p.input.bits, p.weights.lo, p.weights.hi, p.output.bits) for p in inner} == {
        (2, -1, 1, 2)
    }
    assert (products(after)[0].input.bits, products(after)[-1].output.bits) == (8, 8)
    ladders = [la for la in after.layers if isinstance(la, Vector) and la.kind == "Threshold"]
    assert [la.comparisons for la in ladders] == [3 * p.output.elements for p in inner]


def test_factorized_has_the_rank_of_the_smaller_side():
    after = as_method(read_topology(FOLDER / "vgg16.csv"), Shape(method="factorized"))
    parts = {layer.name: layer for layer in after.layers}
    y, d, x = (parts[f"conv1_2.{part}"] for part in "ydx")
    assert (y.m, y.k, y.n, x.k, x.n) == (224 * 224, 576, 64, 64, 64)
    assert y.window.padding == ((1, 1), (1, 1))
    assert d.multiplications == y.output.elements == x.input.elements
    assert (y.parameter_bits, x.parameter_bits) == (0, 64 * 32)
    assert {(p.weights.lo, p.weights.hi) for p in (y, x)} == {(-1, 1)}


@pytest.mark.parametrize(("R", "ratio"), [(1, 2), (4, 2), (8, 4), (3, 7)])
@pytest.mark.parametrize("name", ["vgg16", "mobilenet_v2", "alexnet_grouped", "resnet50"])
def test_blockterm_costs_no_more_than_its_share(name, R, ratio):
    before = read_topology(FOLDER / f"{name}.csv")
    after = as_method(before, Shape(method="blockterm", R=R, ratio=ratio))
    for layer in products(before)[1:-1]:
        parts = [p for p in products(after) if p.name.startswith(f"{layer.name}.")]
        if parts:
            assert sum(p.macs for p in parts) * ratio <= layer.macs
            assert len(parts) == (3 if layer.window.kernel != (1, 1) else 2)
            assert sum(p.additions for p in parts) == layer.additions
        else:
            assert layer in after.layers


def test_blockterm_of_vgg16_near_the_published_speed():
    """Half of the ranks in 8 terms is 6.6 times less work in the convolutions (papers, 1.2)."""
    assert ranks_within(512, 512, 9, 8, 1, 1, 8 * (2 * 512 * 32 + 32 * 32 * 9)) == (32, 32)


@given(st.tuples(*[st.integers(1, 40)] * 2), st.integers(2, 9), st.integers(1, 4),
       st.integers(1, 30), st.integers(1, 10**6))
def test_ranks_fit_and_cannot_grow(sizes, P, R, positions, limit):
    def cost(s, t):
        return R * (sizes[0] * s * positions * 2 + (s * t * P + t * sizes[1]) * positions)

    ranks = ranks_within(*sizes, P, R, 2 * positions, positions, limit)
    if ranks is None:
        assert cost(1, 1) > limit
        return
    s, t = ranks
    assert cost(s, t) <= limit
    assert s == min(sizes[0], t * P) or cost(s + 1, t) > limit
    assert t == min(sizes[1], s * P) or cost(s, t + 1) > limit


def test_methods_on_the_command_line(capsys):
    arguments = ["simulate", str(FOLDER / "resnet18.csv"), "--arch", "edge-16x16-os", "--as"]
    for method in METHODS:
        assert main([*arguments, method]) == 0
        assert capsys.readouterr().out.startswith(f"resnet18 as {method} on edge-16x16-os")
    assert main([*arguments, "blockterm:R=8,ratio=4"]) == 0
    capsys.readouterr()
    for method, seen in (
        ("pruned", "method 'pruned': exist blockterm, factorized, twostep"),
        ("blockterm:R=0", "R=0, rule an integer >= 1"),
        ("blockterm:R=x", "R='x', rule an integer >= 1"),
        ("blockterm:q=1", "rule a method, or blockterm:R=...,ratio=..."),
        ("blockterm:R=1,R=1", "rule a method, or blockterm:R=...,ratio=..."),
        ("twostep:R=1", "rule a method, or blockterm:R=...,ratio=..."),
    ):
        assert main([*arguments, method]) == 2
        out, err = capsys.readouterr()
        assert (out, err.count("\n")) == ("", 1)
        assert seen in err


def test_a_program_is_no_network_before_any_method():
    with pytest.raises(ValueError, match="layer 'a1' is a Threshold, rule a network before"):
        as_method(from_program(small_program()), Shape(method="twostep"))
