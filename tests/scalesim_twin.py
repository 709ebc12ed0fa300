"""SCALE-Sim's two modes the long way: every address of every clock, in plain Python.

The slow, obvious equal of ``hwsim.scalesim``, written from chapter 07b: matrices of addresses, a
table of clocks and ports, a buffer that is a set, a list of lines to DRAM.
"""

from __future__ import annotations

from math import ceil

IDLE = None


def operands(layer):
    """Addresses X (m, k), W (k, n), Y (m, n); IDLE where a window leaves the map."""
    (high, wide), step, C = layer.output, layer.stride, layer.channels
    taps = [
        (v, u, c)
        for v in range(layer.kernel[0]) for u in range(layer.kernel[1]) for c in range(C)
    ]
    kept = [tap for i, tap in enumerate(taps) if i % layer.block < layer.kept]

    def address(y, x, c):
        return (y * layer.width + x) * C + c if y < layer.height and x < layer.width else IDLE

    X = [
        [address(i * step + v, j * step + u, c) for v, u, c in kept]
        for i in range(high) for j in range(wide)
    ]
    W = [[j * len(kept) + i for j in range(layer.filters)] for i in range(len(kept))]
    Y = [[i * layer.filters + j for j in range(layer.filters)] for i in range(len(X))]
    return X, W, Y


def transposed(A):
    return [list(column) for column in zip(*A, strict=True)]


def block(A, rows, columns):
    return [row[columns[0] : columns[1]] for row in A[rows[0] : rows[1]]]


def cuts(total, size):
    return [(i, min(i + size, total)) for i in range(0, total, size)]


class Table:
    """Requests by clock; within a clock, by port."""

    def __init__(self):
        self.clocks = {}

    def ask(self, clock, port, address):
        if address is not IDLE:
            self.clocks.setdefault(clock, []).append((port, address))

    def skewed(self, start, A):
        for t, row in enumerate(A):
            for port, address in enumerate(row):
                self.ask(start + t + port, port, address)

    def rows(self, start, A):
        for t, row in enumerate(A):
            for port, address in enumerate(row):
                self.ask(start + t, port, address)

    def stream(self):
        return [
            (clock, address) for clock in sorted(self.clocks)
            for _, address in sorted(self.clocks[clock])
        ]


def demand(layer, dataflow, R, C):
    """Tables of the three operands, the clocks of all folds, and requests with idle ones."""
    X, W, Y = operands(layer)
    x, w, y = Table(), Table(), Table()
    base, words, load = 0, [0, 0, 0], 0 if dataflow == "os" else R
    m, k, n = len(X), len(W), len(W[0])
    rows, columns, time = {"os": (m, n, k), "ws": (k, n, m), "is": (k, m, n)}[dataflow]
    for c in cuts(columns, C):
        for r in cuts(rows, R):
            used, first = r[1] - r[0], base + load
            if dataflow == "os":
                blocks = transposed(block(X, r, (0, k))), block(W, (0, k), c), block(Y, r, c)
                x.skewed(base, blocks[0])
                w.skewed(base, blocks[1])
                y.skewed(base + time - 1 + R - used, blocks[2][::-1])
                words[2] += R + C
            elif dataflow == "ws":
                blocks = block(X, (0, m), r), block(W, r, c), block(Y, (0, m), c)
                w.rows(base + R - used, blocks[1][::-1])
                x.skewed(first, blocks[0])
                y.skewed(base + 2 * R - 1, blocks[2])
            else:
                blocks = (
                    transposed(block(X, c, r)), transposed(block(W, r, (0, n))),
                    transposed(block(Y, c, (0, n))),
                )
                x.rows(base + R - used, blocks[0][::-1])
                w.skewed(first, blocks[1])
                y.skewed(base + 2 * R - 1, blocks[2])
            for i, A in enumerate(blocks):
                words[i] += len(A) * len(A[0])
            base += load + R + C + time - 2
    return (x, w, y), base, words


def read(table, kilobytes):
    """(first clock, last clock, words) of DRAM reads."""
    stream = table.stream()
    size = kilobytes * 1024 // 100
    held, reads, refilled = set(), 0, None
    for clock, address in stream:
        if address not in held:
            held.add(address)
            reads += 1
            if len(held) == 50 * size:
                held, refilled = set(), clock
    if refilled is None:
        return -ceil(ceil(len(held) / size) * size / 10), -1, reads
    return stream[0][0] - ceil(50 * size / 10), refilled + 1, reads


def written(table, kilobytes, width, clocks):
    """(first clock, last clock, words) of DRAM writes."""
    room, lines, line, idle, spans, total = kilobytes * 1024, [], [], 0, [], 0
    half, drained = room // 2, 0

    def close():
        nonlocal line
        if line:
            lines.append(line)
        line = []

    def drain(clock):
        nonlocal drained, idle, total, room
        out = lines[drained : drained + ceil(half / width)]
        words = len(out) * width - (width - len(out[-1]))
        total, room, drained = total + words, room + words, drained + len(out)
        idle = clock + len(out) - 1
        spans.append((clock, idle))

    for clock, address in table.stream():
        line.append(address)
        room -= 1
        assert room > 0  # the array never waits
        if len(line) == width:
            close()
        if clock >= idle and room < kilobytes * 1024 - half:
            close()
            drain(clock)
    close()
    clock = clocks - 1
    while drained < len(lines):
        drain(clock)
        clock = idle + 1
    return min(a for a, _ in spans), max(b for _, b in spans), total


def report(layer, config):
    """Clocks and words of the six streams, (first, last, words) each, and total cycles."""
    tables, clocks, words = demand(layer, config.dataflow, config.R, config.C)
    sram = []
    for i, table in enumerate(tables):
        stream = table.stream()
        late = 0 if i == 2 else 1
        sram.append((stream[0][0] + late, stream[-1][0] + late, words[i]))
    dram = [
        read(tables[0], config.input_kb), read(tables[1], config.filter_kb),
        written(tables[2], config.output_kb, config.C, clocks),
    ]
    return {"total": clocks - 1, "sram": sram, "dram": dram}


def stacked(A, width):
    """Folds of ``width`` columns on top of each other, those at the edge filled up."""
    return [
        [*row[low:high], *[IDLE] * (width - (high - low))]
        for low, high in cuts(len(A[0]), width) for row in A
    ]


def diagonals(rows):
    return [
        rows[d - c][c]
        for d in range(len(rows) + len(rows[0])) for c in range(len(rows[0]))
        if 0 <= d - c < len(rows)
    ]


def prefetch_orders(layer, dataflow, R, C):
    """The order of prefetches of X and of W, idle places included."""
    X, W, _ = operands(layer)
    match dataflow:
        case "os":
            return diagonals(stacked(transposed(X), R)), diagonals(stacked(W, C))
        case "ws":
            return diagonals(stacked(X, R)), [a for row in stacked(W, C) for a in row]
    return [a for row in stacked(transposed(X), C) for a in row], diagonals(
        stacked(transposed(W), R)
    )


class GivenBandwidth:
    """A read buffer with prefetches of so many words a clock."""

    def __init__(self, places, kilobytes, bandwidth):
        words = kilobytes * 1024
        addresses, size = [a for a in places if a is not IDLE], ceil(words / 100)
        self.lines = [set(addresses[i : i + size]) for i in range(0, len(addresses), size)]
        if len(addresses) % size == 0:
            self.lines.append(set())
        self.half = min(ceil(words / 2 / size), len(self.lines))
        self.step = min(ceil(words / 2 / size), len(self.lines) - self.half)
        self.clocks, self.bandwidth = ceil(words / 2 / bandwidth), bandwidth
        first = min(self.clocks, ceil(len(places) / bandwidth))
        self.at, self.begin, self.ready, self.words = 0, -first, -1, first * bandwidth
        self.served = []

    def holds(self, address):
        window = range(self.at, self.at + self.half)
        return any(address in self.lines[i % len(self.lines)] for i in window)

    def serve(self, addresses, clock):
        """Clocks in which the array stands still for this row of requests."""
        out = clock + 1
        for address in addresses:
            while not self.holds(address):
                self.at = (self.at + self.step) % len(self.lines)
                self.ready += self.clocks + 1
                self.words += self.clocks * self.bandwidth
                late = self.ready - out
                out += late
                if late > 0:
                    out += late
        if addresses:
            self.served.append(out)
        return out - clock - 1


class GivenDrain:
    """The write buffer with lines of so many words."""

    def __init__(self, kilobytes, width):
        self.words = self.room = kilobytes * 1024
        self.width, self.line, self.lines, self.busy, self.clocks = width, 0, [], 0, []
        self.sent, self.served = 0, []

    def close(self):
        if self.line:
            self.lines.append(self.line)
        self.line = 0

    def drain(self, clock):
        self.close()
        count = ceil(self.words // 2 / self.width)
        gone, self.lines = self.lines[:count], self.lines[count:]
        words = len(gone) * self.width - (self.width - gone[-1])
        self.sent, self.room = self.sent + words, self.room + words
        self.clocks += range(clock, clock + len(gone))
        self.busy = clock + len(gone) - 1

    def serve(self, results, clock):
        out = clock
        for _ in range(results):
            self.line, self.room = self.line + 1, self.room - 1
            if self.line == self.width:
                self.close()
            if out < self.busy:
                if self.room <= 0:
                    out = self.busy
            elif self.room < self.words // 2:
                self.drain(out)
        if results:
            self.served.append(out)
        return out


def report_under_bandwidth(layer, config):
    """What :func:`report` gives, and stalls, with the bandwidths of ``config``."""
    tables, clocks, words = demand(layer, config.dataflow, config.R, config.C)
    places = prefetch_orders(layer, config.dataflow, config.R, config.C)
    sizes = (config.input_kb, config.filter_kb)
    x, w = map(GivenBandwidth, places, sizes, config.bandwidths[:2])
    y = GivenDrain(config.output_kb, config.bandwidths[2])
    stalls, outs = 0, []
    for row in range(clocks):
        asked = [[a for _, a in sorted(table.clocks.get(row, []))] for table in tables]
        clock = row + stalls
        late = x.serve(asked[0], clock), w.serve(asked[1], clock)
        outs.append(y.serve(len(asked[2]), clock))
        stalls += max(*late, outs[-1] - clock)
    y.close()
    clock = outs[-1]
    while y.lines:
        y.drain(clock)
        clock = y.busy + 1
    return {
        "total": max(outs), "stalls": stalls,
        "sram": [(b.served[0], b.served[-1], n) for b, n in zip((x, w, y), words, strict=True)],
        "dram": [
            (x.begin, x.ready, x.words), (w.begin, w.ready, w.words),
            (min(y.clocks), max(y.clocks), y.sent),
        ],
    }
