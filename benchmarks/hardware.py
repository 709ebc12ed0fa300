"""What hwsim costs, and what it says of published chips.

    python benchmarks/hardware.py                 prints all of it, in CPU seconds
    python benchmarks/hardware.py --json FILE     writes it, too

* ResNet-50 with memory and energy on 32 x 32, three dataflows, warm and from the shell;
* pairs of layer and architecture a second, by the batch form;
* the six workloads of TPU v1 (Jouppi et al., ISCA 2017) against its counters;
* AlexNet on Eyeriss (Chen et al., JSSC 2017), row-stationary, against its clock.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from measuring import machine

from hwsim import Architecture, presets, read_topology, simulate
from hwsim.batch import evaluate
from hwsim.layers import Gemm, Layer, Operand, Window, Workload
from hwsim.rowstationary import ALEXNET, processing_cycles

TOPOLOGIES = Path(__file__).parent / "topologies"
DATAFLOWS = (
    presets.SCALE_SIM_32X32_OS, presets.SCALE_SIM_32X32_WS, presets.SCALE_SIM_32X32_IS,
)
#: TPU v1, tables 1 and 3: weights, batch, bytes an activation, FC layers, convolutions; then % of
#: the time: array active, useful of peak, not on the matrix unit.
TPU = {
    "MLP0": (20e6, 200, 1, 5, 0, 12.7, 12.5, 17.5),
    "MLP1": (5e6, 168, 1, 4, 0, 10.6, 9.4, 31.9),
    "LSTM0": (52e6, 64, 2, 24, 0, 8.2, 8.2, 17.9),
    "LSTM1": (34e6, 96, 2, 37, 0, 10.5, 6.3, 10.3),
    "CNN0": (8e6, 8, 1, 0, 16, 78.2, 78.2, 21.8),
    "CNN1": (100e6, 32, 1, 4, 72, 46.2, 22.5, 18.7),
}


def byte(elements: int) -> Operand:
    return Operand(lo=-128, hi=127, elements=elements)


def conv(
    name: str, size: int, kernel: int, channels: int, filters: int, stride: int = 1, batch: int = 1
) -> Gemm:
    """A square convolution, padded so that stride 1 keeps the size of the map."""
    pad = kernel // 2
    out = (size + 2 * pad - kernel) // stride + 1
    m, k = batch * out * out, channels * kernel * kernel
    return Gemm(
        name=name, m=m, k=k, n=filters, input=byte(batch * channels * size * size),
        weights=byte(k * filters), output=byte(m * filters),
        window=Window(
            batch=batch, channels=channels, height=size, width=size, kernel=(kernel, kernel),
            stride=(stride, stride), padding=((pad, pad), (pad, pad)), output=(out, out),
        ),
    )


def linear(name: str, batch: int, inputs: int, outputs: int) -> Gemm:
    return Gemm(name=name, m=batch, k=inputs, n=outputs, input=byte(batch * inputs),
                weights=byte(inputs * outputs), output=byte(batch * outputs))


def network(name: str) -> Workload:
    """A published network of `topologies/`, with its pools and sums."""
    return read_topology(TOPOLOGIES / f"{name}.csv")


def cpu_seconds(call: Callable[[], object], repeats: int) -> float:
    """The least of several."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        call()
        times.append(time.process_time() - start)
    return min(times)


def shell_seconds() -> float:
    """CPU seconds of `hwsim simulate` on ResNet-50, one dataflow, in a process of its own."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, "-m", "hwsim.cli", "simulate", str(TOPOLOGIES / "resnet50.csv"), "--arch",
         "scale-sim-32x32-ws"], check=True, capture_output=True,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def pairs_a_second(layers: Sequence[Layer], base: Architecture) -> float:
    """Layers on 2,000 arrays of other sizes."""
    grid = [
        replace(base, rows=4 + i % 45, columns=4 + i // 45, name=f"a{i}") for i in range(2000)
    ]
    return len(layers) * len(grid) / cpu_seconds(lambda: evaluate(layers, grid), 3)


def batch() -> dict[str, float]:
    """Whole networks, element-wise layers included, and the dearest options of an array."""
    return {
        **{f"resnet50 {a.dataflow}": pairs_a_second(network("resnet50").layers, a)
           for a in DATAFLOWS},
        "mobilenet_v1 ws, packed, folds overlapped": pairs_a_second(
            network("mobilenet_v1").layers,
            replace(DATAFLOWS[1], grouping="packed", folds="overlapped")),
    }


def tpu_workload(name: str) -> Workload:
    """Layers of the published number, batch and weights; their shapes are not published.

    FC layers are square. CNN0 has maps of 19 x 19, which is its published 2,888 operations a weight
    byte. CNN1 has maps of 14 x 14 and as much in FC layers as its 1,750 operations a byte ask for.
    Activations of two bytes take the array at half speed: twice the rows.
    """
    weights, batch, wide, dense, convs, *_ = TPU[name]
    size = 19 if name == "CNN0" else 14
    in_convs = weights if not dense else 0.0
    if dense and convs:
        in_convs = weights * (1750 - batch) / (batch * size * size - batch)
    layers = []
    if convs:
        depth = round(math.sqrt(in_convs / convs / 9))
        layers += [conv(f"conv{i}", size, 3, depth, depth, 1, batch) for i in range(convs)]
    if dense:
        side = round(math.sqrt((weights - in_convs) / dense))
        layers += [linear(f"fc{i}", batch * wide, side, side) for i in range(dense)]
    chained = [
        replace(layer, reads=(layers[i - 1].name,)) if i else layer
        for i, layer in enumerate(layers)
    ]
    return Workload(name=name, layers=tuple(chained))


def tpu() -> list[dict[str, object]]:
    """Shares of the time, of the matrix unit alone and with the published rest of the chip."""
    rows = []
    for name, (*_, active, useful, elsewhere) in TPU.items():
        report = simulate(tpu_workload(name), presets.TPU_V1_FULL)
        total, rest = report.total_cycles, 1 - elsewhere / 100
        modelled = 100 * sum(layer.compute_cycles for layer in report.layers) / total
        wanted = 100 * report.counts.macs / (total * 256 * 256)
        waiting = 100 * sum(layer.stall_cycles for layer in report.layers) / total
        rows.append({
            "workload": name, "active_percent": modelled,
            "active_percent_with_rest": modelled * rest, "published_active_percent": active,
            "ratio": modelled * rest / active, "useful_percent_with_rest": wanted * rest,
            "published_useful_percent": useful, "stall_percent": waiting,
        })
    return rows


def eyeriss() -> list[dict[str, object]]:
    rows = []
    for name, shape, mapping, published, _ in ALEXNET:
        ms = processing_cycles(shape, mapping) / 200e6 * 1e3
        rows.append({"layer": name, "ms": ms, "published_ms": published, "ratio": ms / published})
    return rows


def measure() -> dict[str, object]:
    work = network("resnet50")
    simulate(work, DATAFLOWS[0])
    return {
        "machine": machine(),
        "resnet50_layers": len(work.layers), "resnet50_macs": work.macs,
        "resnet50_three_dataflows_cpu_s": cpu_seconds(
            lambda: [simulate(work, a) for a in DATAFLOWS], 5),
        "resnet50_from_the_shell_cpu_s": shell_seconds(),
        "batch_pairs_a_cpu_second": batch(),
        "tpu_v1": tpu(),
        "eyeriss_alexnet": eyeriss(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--json", type=Path, help="also write the figures")
    options = parser.parse_args()
    found = measure()
    for name, value in found.items():
        if isinstance(value, list):
            print(f"\n{name}")
            for row in value:
                print("  " + ", ".join(
                    f"{key} {cell:.3g}" if isinstance(cell, float) else f"{key} {cell}"
                    for key, cell in row.items()))
        else:
            print(f"{name}: {value}")
    if options.json:
        options.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
