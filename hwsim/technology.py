"""Moving figures between nodes and supplies, by rules that name themselves.

Energy and area between nodes follow Stillmaker and Baas, "Scaling equations for the accurate
prediction of CMOS device performance from 180 nm to 7 nm", Integration 58, 2017: at a supply V, in
volts, a node's energy is proportional to a V^2 + b V + c. Each end has its own supply here.
"""

from __future__ import annotations

STILLMAKER = "Stillmaker and Baas, Integration 58, 2017"

#: Node in nm -> (a, b, c) of its energy polynomial.
ENERGY: dict[float, tuple[float, float, float]] = {
    130: (7.171, -6.709, 2.904), 90: (4.762, -4.781, 2.092), 65: (3.755, -4.398, 1.975),
    45: (1.103, -0.362, 0.2767), 32: (0.9559, -0.7823, 0.471), 20: (0.373, -0.1582, 0.04104),
    16: (0.2958, -0.1241, 0.03024), 14: (0.2363, -0.09675, 0.02239),
    10: (0.2068, -0.09311, 0.02375), 7: (0.1776, -0.09097, 0.02447),
}
#: Node in nm -> area of what takes 1 at 45 nm.
AREA: dict[float, float] = {
    130: 6.4, 90: 2.8, 65: 1.5, 45: 1.0, 32: 0.46, 20: 0.21, 16: 0.19, 14: 0.17, 10: 0.10, 7: 0.059,
}
#: Nodes whose lengths differ by less than this factor are neighbours: energy ~ length.
NEIGHBOURS = 1.2


def _polynomial(node_nm: float, voltage_v: float) -> float:
    a, b, c = ENERGY[node_nm]
    return a * voltage_v**2 + b * voltage_v + c


def energy_factor(
    from_nm: float, from_v: float | None, to_nm: float, to_v: float
) -> tuple[float, str]:
    """Factor of a switching energy, and the rule in words (empty if nothing changes).

    Same node: V^2. Nodes of the table: its polynomials. A node beside one of the table comes there
    by its length first; all others are refused with ``ValueError``. An unknown supply is taken as
    that of the target.

    >>> energy_factor(45, 1.1, 45, 1.0)[1]
    'x (1/1.1)^2 for the supply'
    >>> factor, rule = energy_factor(45, 0.9, 7, 0.9); round(factor, 3), rule[:40]
    (0.102, 'x 0.102 from 45 nm at 0.9 V to 7 nm at 0')
    """
    factor, steps = 1.0, []
    node = from_nm if from_nm == to_nm else _in_table(from_nm, to_nm)
    if node != from_nm:
        factor *= node / from_nm
        steps.append(f"x {node:g}/{from_nm:g} for the node")
    if from_v is None:
        steps.append("supply not stated by the source, taken as the table's")
    start_v = to_v if from_v is None else from_v
    if node != to_nm:
        ratio = _polynomial(to_nm, to_v) / _polynomial(node, start_v)
        factor *= ratio
        ends = f"{node:g} nm at {start_v:g} V to {to_nm:g} nm at {to_v:g} V"
        steps.append(f"x {ratio:.3g} from {ends} ({STILLMAKER})")
    elif start_v != to_v:
        factor *= (to_v / start_v) ** 2
        steps.append(f"x ({to_v:g}/{start_v:g})^2 for the supply")
    return factor, ", ".join(steps)


def _in_table(from_nm: float, to_nm: float) -> float:
    """The node of the table for ``from_nm``: itself, or a neighbour, ``to_nm`` before others."""
    for node in (from_nm, to_nm, *ENERGY):
        near = max(node, from_nm) <= NEIGHBOURS * min(node, from_nm)
        if node in ENERGY and near and to_nm in ENERGY:
            return node
    nodes = ", ".join(f"{node:g}" for node in ENERGY)
    raise ValueError(f"node {from_nm:g} nm to {to_nm:g} nm: rule both of {nodes}")


def area_factor(from_nm: float, to_nm: float) -> tuple[float, str]:
    """Factor of an area, and the rule in words; raises ``ValueError`` for an unknown node."""
    for node in (from_nm, to_nm):
        if node not in AREA:
            nodes = ", ".join(f"{known:g}" for known in AREA)
            raise ValueError(f"area at {node:g} nm: rule one of {nodes} nm")
    factor = AREA[to_nm] / AREA[from_nm]
    return factor, "" if factor == 1 else f"x {factor:.3g} for the node ({STILLMAKER})"


