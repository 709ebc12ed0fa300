"""The command line: ``refnet compile``, ``train``, ``run``, ``warm``, ``vectors`` and ``laws``."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    import hwsim
    from refnet.nn import Dataset, Module

EXIT_DIFFERENT, EXIT_BAD_INPUT, EXIT_INTERRUPTED = 1, 2, 130

#: What a report shows where ``--arch`` is not given: two systolic arrays and a bit-serial one.
DEFAULT_ARCHITECTURES = "gemmini-16x16-ws,edge-16x16-os,bismo-8x256x8"


class _Parser(argparse.ArgumentParser):
    """One line for bad usage, as for any other bad input."""

    def error(self, message: str) -> NoReturn:
        self.exit(EXIT_BAD_INPUT, f"{self.prog}: error: {message} (see {self.prog} --help)\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code: 0, 1 (results differ), 2 (bad input)."""
    # Batches are split over threads here; BLAS threads on top of them only wait for each other.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    options = _parser().parse_args(arguments)
    handler: Callable[[argparse.Namespace], int] = options.handler
    try:
        return handler(options)
    except (ValueError, OSError) as error:
        print(f"refnet: error: {_one_line(error)}", file=sys.stderr)
        return EXIT_BAD_INPUT
    except KeyboardInterrupt:
        print("refnet: interrupted; the same command goes on from there", file=sys.stderr)
        return EXIT_INTERRUPTED


def _one_line(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return " ".join(str(error).split()) or type(error).__name__


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="refnet", description="Make neural networks small, down to integers and hardware."
    )
    commands: argparse._SubParsersAction[argparse.ArgumentParser] = parser.add_subparsers(
        required=True, metavar="COMMAND", parser_class=_Parser
    )
    _add_compile(commands)
    _add_train(commands)
    _add_run(commands)
    _add_warm(commands)
    from refnet.laws import cli as laws
    from refnet.vectors import cli as vectors

    vectors.add_arguments(commands, {"kernels": _kernels})
    laws.add_arguments(commands)
    return parser


def _kernels() -> Any:
    from refnet.kernels import execute

    return execute


def _add_data(parser: argparse.ArgumentParser, default: str | None) -> None:
    parser.add_argument(
        "--data", default=default, required=default is None, metavar="NAME",
        help="digits, fashion-mnist, cifar10, a folder of IDX files, or an .npz file"
        + (f" (default: {default})" if default else ""),
    )
    parser.add_argument("--root", metavar="DIR", help="where the files of the data set are")


def _add_training(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="(default: 0)")
    parser.add_argument(
        "--net", dest="network", metavar="NAME",
        help="network to train: convnet, lenet, vgg or resnet",
    )
    parser.add_argument(
        "--filters", type=_numbers, metavar="N,N,...", help="filters of its blocks"
    )
    parser.add_argument("--epochs", type=int, metavar="N", help="epochs of the float network")
    parser.add_argument("--quiet", action="store_true", help="no progress on standard error")


def _add_compile(commands: Any) -> None:
    parser = commands.add_parser(
        "compile", help="the main job: train, compress, verify, simulate, report",
        description="Train (or load) a float network, compress it with each method, fine-tune, "
        "freeze and lower it to an integer program, check network = program = kernels on every "
        "test image, simulate it on hardware, and write programs, golden vectors and a report. "
        "Interrupted, the same command goes on from the last epoch.",
    )
    parser.add_argument("net", nargs="?", metavar="NET.npz", help="a trained float network")
    _add_data(parser, "digits")
    parser.add_argument(
        "--method", metavar="NAMES",
        help="methods, separated by commas: those of this project (default: all of them), or "
        "direct, twn, ttq, bwn, hwgq, dorefa, lqnets to compare with; with options in "
        "parentheses, as in 'twostep(weight_bits=2),blockterm(speedup=4)'; blockterm+METHOD "
        "quantizes the block terms by another method",
    )
    parser.add_argument(
        "--arch", default=DEFAULT_ARCHITECTURES, metavar="NAMES",
        help="architectures (names of `hwsim archs` or TOML files), separated by commas",
    )
    parser.add_argument("--out", default="refnet-out", metavar="DIR", help="(default: refnet-out)")
    _add_training(parser)
    parser.add_argument("--code-epochs", type=int, metavar="N", help="epochs with quantized codes")
    parser.add_argument("--tune-epochs", type=int, metavar="N", help="epochs of fine-tuning")
    parser.add_argument("--tune-lr", type=float, metavar="X", help="peak learning rate of it")
    parser.add_argument(
        "--hold-codes", action="store_true",
        help="fine-tune scales and batch norms only, not the weight codes",
    )
    parser.add_argument("--json", action="store_true", help="print report.json on standard output")
    parser.set_defaults(handler=_compile)


def _add_train(commands: Any) -> None:
    parser = commands.add_parser(
        "train", help="train a float network, or go on training it",
        description="Train a float network. The file written after each epoch is a network and a "
        "checkpoint in one: the same command goes on from it, to the same bits.",
    )
    _add_data(parser, "digits")
    parser.add_argument("--out", required=True, metavar="NET.npz", help="network to write")
    _add_training(parser)
    parser.add_argument("--json", action="store_true", help="print the log on standard output")
    parser.set_defaults(handler=_train)


def _add_run(commands: Any) -> None:
    parser = commands.add_parser(
        "run", help="accuracy and speed of a program on test images",
        description="Run an integer program on every test image.",
    )
    parser.add_argument("program", metavar="PROGRAM", help="a program file")
    _add_data(parser, None)
    parser.add_argument("--kernels", action="store_true", help="use the compiled kernels")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="of the kernels")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.set_defaults(handler=_run)


def _add_warm(commands: Any) -> None:
    parser = commands.add_parser(
        "warm", help="compile the kernels ahead of their first use",
        description="Compile the kernels for this CPU into the cache on disk, so that the first "
        "run of a program does not wait for the compiler.",
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.set_defaults(handler=_warm)


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(","))


def _say(options: argparse.Namespace) -> Callable[[str], None]:
    return (lambda message: None) if options.quiet else (
        lambda message: print(message, file=sys.stderr)
    )


def _data(options: argparse.Namespace) -> Dataset:
    from refnet.nn import load

    return load(options.data, root=options.root)


def _recipe(options: argparse.Namespace, data: Dataset) -> Any:
    from dataclasses import replace

    from refnet.compiler import recipe_for

    recipe = recipe_for(data.name, options.network)
    if options.filters is not None:
        recipe = replace(recipe, filters=options.filters)
    for stage, field, option in (
        ("real", "epochs", "epochs"), ("codes", "epochs", "code_epochs"),
        ("tune", "epochs", "tune_epochs"), ("tune", "lr", "tune_lr"),
    ):
        value = getattr(options, option, None)
        if value is not None:
            changed = replace(getattr(recipe, stage), **{field: value})
            recipe = replace(recipe, **{stage: changed})
    return replace(recipe, hold_codes=getattr(options, "hold_codes", False))


def _compile(options: argparse.Namespace) -> int:
    from refnet.compiler import Job, run_job
    from refnet.compiler.report import write_report

    out = _folder(options.out)
    methods, architectures = _methods(options.method), _architectures(options.arch)
    data = _data(options)
    job = Job(
        data=data, methods=methods, architectures=architectures, recipe=_recipe(options, data),
        seed=_seed(options), out=out, net=_network(options.net, data), progress=not options.quiet,
    )
    say = _say(options)
    result = run_job(job, say)
    write_report(result, out)
    say(f"report: {out / 'report.html'}")
    if options.json:
        print(json.dumps(result.as_dict(), indent=2, sort_keys=True))
    differing = sum(
        m.agreement.network_vs_program + m.agreement.program_vs_kernels for m in result.methods
    )
    return EXIT_DIFFERENT if differing else 0


def _folder(name: str) -> Path:
    out = Path(name)
    if out.exists() and not out.is_dir():
        raise ValueError(f"--out {name}: is not a folder")
    return out


def _seed(options: argparse.Namespace) -> int:
    if options.seed < 0:
        raise ValueError(f"--seed {options.seed}: must be at least 0")
    return int(options.seed)


def _methods(names: str | None) -> tuple[Any, ...]:
    from refnet.methods.naming import methods_of

    return methods_of(names)


def _architectures(names: str) -> tuple[hwsim.Architecture, ...]:
    import hwsim

    return tuple(hwsim.presets.resolve(name) for name in names.split(","))


def _network(path: str | None, data: Dataset) -> Module | None:
    """The network in the file, tried on one image before anything is written."""
    if path is None:
        return None
    from refnet.nn import predict
    from refnet.nn.files import load

    net = load(path)
    try:
        scores = predict(net, data.test_images[:1], scale=data.scale)
    except ValueError as error:
        shape = data.test_images.shape[1:]
        raise ValueError(f"{path}: does not take images {shape} of {data.name}: {error}") from None
    if scores.shape[1:] != (data.classes,):
        raise ValueError(f"{path}: scores {scores.shape[1:]}, rule ({data.classes},)")
    return net


def _train(options: argparse.Namespace) -> int:
    from dataclasses import asdict

    import numpy as np

    from refnet.nn import train

    data = _data(options)
    recipe = _recipe(options, data)
    rng = np.random.default_rng(_seed(options))
    net = recipe.build(data, rng)
    log = train(
        net, data, batch_size=recipe.batch_size, rng=rng, checkpoint=options.out,
        progress=not options.quiet, **recipe.real.settings(),
    )
    if options.json:
        print(json.dumps(asdict(log), indent=2, sort_keys=True))
    elif log.epochs:
        print(f"{options.out}: {log.test_accuracy[-1]:.2%} on {len(data.test_images)} test images")
    return 0


def _run(options: argparse.Namespace) -> int:
    from refnet.program import load

    if options.threads < 1:
        raise ValueError(f"--threads {options.threads}: must be at least 1")
    program, data = load(options.program), _data(options)
    images, shape = data.test_images, program.input_type.shape
    if images.shape[1:] != shape:
        raise ValueError(f"{options.program}: takes {shape}, {data.name} has {images.shape[1:]}")
    start = time.perf_counter()
    right = _classified_right(program, data, options)
    seconds = time.perf_counter() - start
    accuracy, speed = right / len(images), len(images) / seconds
    if options.json:
        found = {"accuracy": accuracy, "images": len(images), "images_per_second": speed}
        print(json.dumps(found, indent=2, sort_keys=True))
    else:
        print(f"{accuracy:.2%} on {len(images)} images of {data.name}, {speed:.0f} images/s")
    return 0


def _warm(options: argparse.Namespace) -> int:
    from refnet.compiled import cache_folder
    from refnet.kernels import tiers
    from refnet.kernels.warm import warm

    start = time.perf_counter()
    stages, tier = warm(), tiers.current().name.lower()
    seconds, folder = time.perf_counter() - start, cache_folder()
    where = os.environ.get("NUMBA_CACHE_DIR", "Numba's own folders") if folder is None else folder
    if options.json:
        found = {"folder": str(where), "seconds": seconds, "stages": stages, "tier": tier}
        print(json.dumps(found, indent=2, sort_keys=True))
    else:
        print(f"kernels ready, tier {tier}, {stages} stages in {seconds:.1f} s: {where}")
    return 0


def _classified_right(program: Any, data: Dataset, options: argparse.Namespace) -> int:
    from refnet import kernels
    from refnet.program import run

    step = 500
    plan = kernels.compile(program, threads=options.threads) if options.kernels else None
    right = 0
    for start in range(0, len(data.test_images), step):
        codes = data.test_images[start : start + step]
        scores = run(program, codes) if plan is None else plan(codes)
        right += int((scores.argmax(axis=1) == data.test_labels[start : start + step]).sum())
    return right
