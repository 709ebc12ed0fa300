"""Programs: what is one, what is refused, and how one runs ([5.1], [5.2], [5.4])."""

import weakref
from collections import Counter

import numpy as np
import oracle
import oracle_codes
import oracle_types
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refnet.laws.arrays import rngs
from refnet.laws.programs import inputs_of, programs, random_program
from refnet.program import (
    OPERATORS,
    TERNARY,
    UINT2,
    UINT8,
    Add,
    Conv,
    IntType,
    MaxPool,
    Node,
    Op,
    Program,
    ProgramError,
    Reshape,
    TensorType,
    Threshold,
    Work,
    constant,
    evaluate,
    run,
)

X = TensorType(type=UINT2, shape=(2, 3, 3))
W = constant(np.ones((2, 2, 1, 1), dtype=np.int8), TERNARY)
CONV = Node(name="y", op=Conv(), inputs=("x", "w"))


def node(name, *inputs, op=None) -> Node:
    return Node(name=name, op=op or Add(), inputs=inputs)


def program(**changes) -> Program:
    """A valid program of one convolution, with some fields changed."""
    fields = {"name": "p", "input": "x", "input_type": X, "nodes": (CONV,), "constants": {"w": W},
              "output": "y"}
    return Program(**(fields | changes))


# --- running ------------------------------------------------------------------------------------


@given(programs, rngs, st.sampled_from([0, 1, 2]))
def test_run_is_the_oracle_value_by_value(p, rng, images):
    x = inputs_of(rng, p, images)
    x.flags.writeable = False
    y, values = run(p, x, trace=True)
    want = oracle.run_program(p, x.tolist())
    assert list(values) == [p.input, *(step.name for step in p.nodes)] == list(p.types)
    for name, value in values.items():
        assert value.tolist() == want[name], name
        assert value.shape == (images, *p.types[name].shape)
        assert value.dtype == p.types[name].type.dtype
        assert p.types[name].type.contains(value)
    assert np.array_equal(y, values[p.output])
    plain = run(p, x)
    assert plain.tobytes() == y.tobytes()
    assert plain.dtype == y.dtype


@given(programs)
def test_types_work_and_weight_bits_are_the_oracle(p):
    types = {p.input: oracle.value_of(p.input_type)}
    types |= {name: oracle.value_of(held) for name, held in p.constants.items()}
    work: Counter[str] = Counter()
    for step in p.nodes:
        operands = [types[name] for name in step.inputs]
        types[step.name] = oracle_types.infer(step.op, *operands)
        work.update(oracle_types.work(step.op, *operands))
    assert {n: oracle.value_of(t) for n, t in p.types.items()} == {n: types[n] for n in p.types}
    assert p.work() == Work(**work)
    assert p.weight_bits() == oracle_codes.weight_bits(p)
    assert [len(p.operands(step)) for step in p.nodes] == [len(step.inputs) for step in p.nodes]


def test_random_programs_have_every_operator():
    rng = np.random.default_rng(0)
    seen = {type(step.op) for _ in range(40) for step in random_program(rng, 7).nodes}
    assert seen == set(OPERATORS)


def test_a_program_without_steps_gives_its_input():
    p = program(nodes=(), constants={}, output="x")
    x = np.ones((1, 2, 3, 3), dtype=p.input_type.type.dtype)
    assert run(p, x).tolist() == x.tolist()
    assert not np.shares_memory(run(p, x), x)
    assert p.work() == Work()


def test_nothing_follows_the_output():
    nodes = (CONV, node("z", "y", "y"))
    with pytest.raises(ProgramError, match="value 'z' is never used"):
        program(nodes=nodes)
    nodes = (node("a", "x", "x"), node("b", "a", "x"), node("y", "b", "a"))
    p = program(nodes=nodes, constants={})
    assert run(p, np.ones((1, 2, 3, 3), np.int8)).ravel().tolist() == [5] * 18


@pytest.mark.parametrize(("x", "message"), [
    (np.zeros((1, 2, 3, 3)), "dtype float64"), (np.zeros((1, 2, 3, 3), bool), "dtype bool"),
    (np.zeros((2, 3, 3), int), r"shape \(2, 3, 3\), rule \(N, \*\(2, 3, 3\)\)"),
    (np.zeros((1, 3, 2, 3), int), "shape"), (np.int64(0), "shape"),
    (np.full((1, 2, 3, 3), 4), r"\[4, 4\] leaves uint2"),
    (np.full((1, 2, 3, 3), -1), "leaves uint2"),
    (np.full((1, 2, 3, 3), 2**64 - 1, np.uint64), "leaves uint2"),
    (np.full((1, 2, 3, 3), 256), "leaves uint2"),
])
def test_an_input_that_does_not_fit_is_refused(x, message):
    with pytest.raises(ProgramError, match=f"input 'x': .*{message}"):
        run(program(), x)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int64, np.uint64, ">i4"])
def test_an_input_may_have_any_integer_dtype_and_layout(dtype):
    x = np.arange(18).reshape(2, 3, 3, 1).transpose(3, 0, 2, 1) % 4
    want = run(program(), np.ascontiguousarray(x))
    assert np.array_equal(run(program(), x.astype(dtype)), want)
    assert np.array_equal(run(program(), x), want)


# --- the hook -----------------------------------------------------------------------------------


@given(programs, rngs)
def test_the_hook_gets_operator_operands_and_type_and_decides(p, rng):
    calls = []

    def execute(op: Op, operands, result: TensorType):
        calls.append((op, operands, result))
        return evaluate(op, operands, result)

    x = inputs_of(rng, p, 2)
    y, values = run(p, x, execute=execute, trace=True)
    assert y.tobytes() == run(p, x).tobytes()
    assert len(calls) == len(p.nodes)
    for step, (op, operands, result) in zip(p.nodes, calls, strict=True):
        assert op is step.op
        assert result == p.types[step.name]
        for name, array in zip(step.inputs, operands, strict=True):
            held = p.constants[name].array if name in p.constants else values[name]
            assert array is held
            assert array.flags.writeable == (name not in p.constants)


@pytest.mark.parametrize("give", [
    lambda y: y.astype(np.int64), lambda y: y[:, :1], lambda y: y[0], lambda y: y[:0],
    lambda y: y.astype(np.float32), lambda y: y.tolist(), lambda y: None,
])
def test_another_dtype_or_shape_from_the_hook_is_refused(give):
    def execute(op, operands, result):
        return give(evaluate(op, operands, result))

    with pytest.raises(ProgramError, match=r"Conv 'y': executed as .*, rule int8"):
        run(program(), np.ones((2, 2, 3, 3), np.int8), execute=execute)


def test_what_the_hook_gives_is_what_follows():
    nodes = (CONV, node("z", "y", "x"))

    def execute(op, operands, result):
        y = evaluate(op, operands, result)
        return np.zeros_like(y) if isinstance(op, Conv) else y

    x = np.ones((1, 2, 3, 3), np.int8)
    assert run(program(nodes=nodes, output="z"), x, execute=execute).tolist() == x.tolist()


def test_the_reference_refuses_a_result_that_leaves_its_type():
    result = TensorType(type=TERNARY, shape=(1,))
    with pytest.raises(ProgramError, match=r"Add.*result \[2, 2\] leaves its proved ternary"):
        evaluate(Add(), (np.array([[1]]), np.array([[1]])), result)


def test_values_that_are_not_needed_any_more_are_given_free():
    alive: list[list[bool]] = []

    def execute(op, operands, result):
        alive.append([r() is not None for r in seen])
        y = evaluate(op, operands, result)
        seen.append(weakref.ref(y))
        return y

    seen: list[weakref.ref] = []
    nodes = tuple(Node(name=f"v{k + 1}", op=MaxPool(kernel=1, stride=1), inputs=(f"v{k}",))
                  for k in range(3))
    p = program(input="v0", nodes=nodes, constants={}, output="v3")
    run(p, np.ones((1, 2, 3, 3), np.int8), execute=execute)
    assert alive == [[], [True], [False, True]]


# --- what is no program -------------------------------------------------------------------------

BAD_NAMES = ["", "-x", ".x", "x y", "x\n", "ä", "x/y", "a" * 101, None, 3, ["x"]]


@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_name_that_is_none_is_refused_everywhere(name):
    makers = [
        lambda: program(name=name), lambda: program(input=name), lambda: program(output=name),
        lambda: Node(name=name, op=Conv(), inputs=("x", "w")),
    ]
    if not isinstance(name, list):
        makers.append(lambda: program(constants={"w": W, name: W}))
    for make in makers:
        with pytest.raises(ProgramError, match=r"letters, digits|no such value"):
            make()


@pytest.mark.parametrize("name", ["x", "_", "0", "a.b-c_9", "Z" * 100])
def test_names_that_are_names(name):
    node = Node(name="y", op=Conv(), inputs=(name, "w"))
    assert program(name=name, input=name, nodes=(node,)).input == name


@pytest.mark.parametrize(("changes", "message"), [
    ({"input": "w"}, "input 'w': a constant has that name"),
    ({"input_type": TensorType(type=UINT2, shape=(2, 3, 3, 1))}, "over 3 axes"),
    ({"nodes": (CONV, CONV)}, "Conv 'y': the name is taken"),
    ({"nodes": (node("x", "x", "x"),)}, "Add 'x': the name is taken"),
    ({"nodes": (node("w", "x", "x"),)}, "Add 'w': the name is taken"),
    ({"nodes": (node("y", "y", "x"),)}, "Add 'y': operand 'y' is not defined before it"),
    ({"nodes": (node("y", "z", "x"), node("z", "x", "x"))}, "operand 'z' is not defined before it"),
    ({"nodes": (node("y", "x", "w"),)}, "Add 'y': y must be an activation, not a constant"),
    ({"nodes": (node("y", op=Conv()),)}, "Conv 'y': 0 operands"),
    ({"nodes": (node("y", "x", "x", op=Conv()),)}, "Conv 'y': w must be a constant"),
    ({"output": "z"}, "output 'z': no such value"), ({"output": "w"}, "output 'w': no such value"),
    ({"output": "x"}, "value 'y' is never used"),
    ({"constants": {"w": W, "v": W}}, "value 'v' is never used"),
    ({"nodes": (), "constants": {}, "output": "y"}, "output 'y': no such value"),
    ({"nodes": (node("y", "v", op=Reshape(shape=(18,))),), "constants": {"v": W}},
     "x must be an activation"),
    ({"nodes": (node("y", "x", "x"),), "constants": {},
      "input_type": TensorType(type=IntType(lo=0, hi=2**30), shape=(1,))},
     "Add 'y': the sum can reach"),
    ({"nodes": (CONV, node("z", "y", "w", "w", op=Threshold()))}, "Threshold 'z': t .* not fit"),
])
def test_what_is_no_program_is_refused_in_one_line(changes, message):
    with pytest.raises(ProgramError, match=message) as caught:
        program(**changes)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("op", [None, "Conv", Conv, object(), type("Mine", (Add,), {})()])
def test_a_node_has_one_of_the_operators(op):
    with pytest.raises(ProgramError, match=r"node 'y': .* is none of the operators"):
        Node(name="y", op=op, inputs=("x",))


def test_a_program_is_fixed_once_made():
    constants = {"w": W}
    nodes = [CONV]
    p = program(constants=constants, nodes=nodes)
    constants["v"] = W
    nodes.append(CONV)
    assert (list(p.constants), p.nodes) == (["w"], (CONV,))
    for mapping in (p.constants, p.types):
        with pytest.raises(TypeError):
            mapping["v"] = W
    with pytest.raises(AttributeError):
        p.output = "x"


def test_programs_are_equal_by_what_they_say():
    assert program() == program()
    assert program() != program(name="q")
    assert program() != program(constants={"w": constant(W.array, UINT8)})


def test_weights_that_two_convolutions_share_count_once():
    nodes = (CONV, Node(name="z", op=Conv(), inputs=("y", "w")))
    assert program(nodes=nodes, output="z").weight_bits() == program().weight_bits() == 8
