"""An implementation in another process: one JSON line in, one JSON line out.

Request: ``{"id": ..., "op": ..., "attributes": {...}, "operands": [...]}`` with operands
``{"name": ..., "type": ..., "shape": [...], "data": [...]}``, ``data`` flat in C order. Answers, in
the order of the requests:

* ``{"id": ..., "outputs": {"y": {"shape": [...], "data": [...]}}}``, perhaps with intermediates;
* ``{"id": ..., "error": "why"}`` where the vector is refused;
* ``{"id": ..., "unsupported": "why"}`` where the implementation does not do this.

A process that crashes, hangs or answers something else fails that vector and is started again.
Where it leaves :data:`MOST_SILENCES` vectors in a row without an answer in time, it is not asked
the rest, which fail too: a device that is dead must not hold the run for hours.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import queue
import shlex
import signal
import subprocess
import threading
from types import TracebackType
from typing import IO, Any, cast

import numpy as np
from numpy.typing import NDArray

from refnet.vectors.functions import Outputs
from refnet.vectors.record import REAL, Vector, VectorError
from refnet.vectors.reference import Unsupported, Unusable

#: Longest answer that is read, in bytes.
LINE_LIMIT = 2**26
#: So many vectors in a row without an answer in time, and the process is given up.
MOST_SILENCES = 10
#: How many of the last bytes of standard error are kept.
_KEPT_BYTES = 4096
#: How often, 50 ms apart, the reader of a killed process is given room to end.
_STOP_TRIES = 20


class BrokenProcess(Unusable):
    """The process gave no usable answer."""


class RefusedByProcess(ValueError):  # noqa: N818 - what it is
    """The process refused the vector."""


def request(vector: Vector) -> bytes:
    """The line that asks ``vector``."""
    operands = [
        {"name": a.name, "type": a.type, "shape": list(a.shape), "data": list(a.data)}
        for a in vector.operands
    ]
    record = {
        "id": vector.id,
        "op": vector.op,
        "attributes": vector.attributes,
        "operands": operands,
    }
    return json.dumps(record, separators=(",", ":")).encode() + b"\n"


def _output(name: str, value: Any, real: bool) -> NDArray[Any]:
    if not isinstance(value, dict) or set(value) != {"shape", "data"}:
        raise BrokenProcess(f"output {name!r} must have shape and data")
    shape, data = value["shape"], value["data"]
    if not isinstance(shape, list) or not all(type(n) is int and n >= 0 for n in shape):
        raise BrokenProcess(f"output {name!r}: shape {shape!r:.60} must be a list of sizes")
    if not isinstance(data, list) or len(data) != math.prod(shape):
        raise BrokenProcess(f"output {name!r}: data must be a flat list of {math.prod(shape)}")
    if real:
        try:
            raw = b"".join(bytes.fromhex(v) for v in data)
            return np.frombuffer(raw, dtype=">f8").astype(np.float64).reshape(shape)
        except (TypeError, ValueError):
            raise BrokenProcess(f"output {name!r}: reals are 16 hexadecimal digits") from None
    if not all(type(v) is int and abs(v) < 2**63 for v in data):
        raise BrokenProcess(f"output {name!r}: data must be integers")
    return np.array(data, dtype=np.int64).reshape(shape)


def parse_answer(line: bytes, vector: Vector) -> Outputs:
    """The outputs in an answer; raises what the answer says, or :class:`BrokenProcess`."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        raise BrokenProcess(f"answered no JSON: {line[:60]!r}") from None
    kinds = {"outputs", "error", "unsupported"}
    if not isinstance(record, dict) or record.get("id") != vector.id:
        raise BrokenProcess(f"answered no record with id {vector.id!r}: {line[:60]!r}")
    if len(kinds & set(record)) != 1 or set(record) - kinds - {"id"}:
        raise BrokenProcess(f"answered fields {sorted(record)}, rule id and one of {sorted(kinds)}")
    if "error" in record:
        raise RefusedByProcess(str(record["error"]))
    if "unsupported" in record:
        raise Unsupported(str(record["unsupported"]))
    if not isinstance(record["outputs"], dict):
        raise BrokenProcess("outputs must be arrays by name")
    reals = {a.name for a in vector.outputs + vector.intermediates if a.type == REAL}
    return {k: _output(k, v, k in reals) for k, v in record["outputs"].items()}


class ProcessImplementation:
    """An implementation that asks ``command``; use as a context manager.

    ``timeout_seconds`` bounds each answer. The process lives from vector to vector; the last line
    of its standard error is quoted when it ends.
    """

    def __init__(self, command: str, *, timeout_seconds: float = 10.0) -> None:
        self._command = shlex.split(command)
        if not self._command:
            raise VectorError("the command of the implementation is empty")
        self._timeout = timeout_seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._lines: queue.Queue[bytes] = queue.Queue(maxsize=4)
        self._errors = bytearray()
        self._tail: threading.Thread | None = None
        self._silences = 0

    def __enter__(self) -> ProcessImplementation:
        """Start the process; raises :class:`VectorError` where that cannot be done."""
        self._process = self._start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop()

    def _start(self) -> subprocess.Popen[bytes]:
        pipe = subprocess.PIPE
        try:
            process = subprocess.Popen(
                self._command, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True
            )
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or error
            raise VectorError(f"cannot run {self._command[0]!r}: {why}") from None
        self._errors = bytearray()
        tail = (process.stderr, self._errors)
        self._tail = threading.Thread(target=_keep_tail, args=tail, daemon=True)
        self._tail.start()
        self._lines = queue.Queue(maxsize=4)
        threading.Thread(target=_pump, args=(process.stdout, self._lines), daemon=True).start()
        return process

    def _stop(self) -> None:
        if self._process is not None:
            _kill(self._process)
            # What was left in the buffer has no reader any more.
            with contextlib.suppress(OSError, ValueError):
                cast(IO[bytes], self._process.stdin).close()
            # The reader may be waiting for room in the queue; room lets it see the end.
            for _ in range(_STOP_TRIES):
                if cast(IO[bytes], self._process.stdout).closed:
                    break
                with contextlib.suppress(queue.Empty):
                    self._lines.get(timeout=0.05)
            cast(threading.Thread, self._tail).join(timeout=1)
        self._process = None

    def _ended(self) -> BrokenProcess:
        """The error of a process that said no more, with its last words; the next one is new."""
        process = cast("subprocess.Popen[bytes]", self._process)
        try:
            what = f"the process ended with exit code {process.wait(timeout=1)}"
        except subprocess.TimeoutExpired:
            what = "the process closed its output"
        self._stop()
        last = (bytes(self._errors).strip().splitlines() or [b""])[-1][:200]
        return BrokenProcess(what + (f": {last.decode(errors='replace')}" if last else ""))

    def __call__(self, vector: Vector) -> Outputs:
        """Ask the process one vector."""
        if self._silences >= MOST_SILENCES:
            raise BrokenProcess(f"not asked, after {MOST_SILENCES} vectors without an answer")
        if self._process is None:
            try:
                self._process = self._start()
            except VectorError as error:
                raise BrokenProcess(str(error)) from None
        # A process that does not read would block a writer whose request fills the pipe.
        send = (self._process.stdin, request(vector))
        threading.Thread(target=_send, args=send, daemon=True).start()
        try:
            line = self._lines.get(timeout=self._timeout)
        except queue.Empty:
            self._stop()
            self._silences += 1
            raise BrokenProcess(f"no answer in {self._timeout:g} s") from None
        self._silences = 0
        if not line:
            raise self._ended()
        if not line.endswith(b"\n"):
            self._stop()
            raise BrokenProcess(f"an answer cut off, or of more than {LINE_LIMIT} bytes")
        try:
            return parse_answer(line, vector)
        except BrokenProcess:
            self._stop()
            raise


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End the process and what it started."""
    with contextlib.suppress(OSError):
        os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.wait()


def _send(stream: IO[bytes], data: bytes) -> None:
    """Write a request; a process that is gone shows at its output."""
    with contextlib.suppress(OSError, ValueError):
        stream.write(data)
        stream.flush()


def _keep_tail(stream: IO[bytes], tail: bytearray) -> None:
    """Read standard error as it comes, so that the process never waits, and keep its end."""
    with stream, contextlib.suppress(OSError, ValueError):
        while part := stream.read1(_KEPT_BYTES):  # type: ignore[attr-defined]
            tail.extend(part)
            del tail[:-_KEPT_BYTES]


def _pump(stream: IO[bytes], lines: queue.Queue[bytes]) -> None:
    """Move lines from the process into the queue; an empty one marks the end."""
    with stream:
        while line := stream.readline(LINE_LIMIT):
            lines.put(line)
        lines.put(b"")
