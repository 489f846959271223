"""The command ``sedflux benchmark``."""

from __future__ import annotations

import argparse
from typing import Any

from sedflux.cli.options import add_command, add_model, say, whole_number
from sedflux.exceptions import InputError

__all__ = ["add_parser", "run"]


def add_parser(commands: Any) -> None:
    """Add ``sedflux benchmark``."""
    parser = add_command(commands, "benchmark", run, "measure the speed",
                         example="sedflux benchmark --batches 1 64")
    parser.add_argument("--batches", type=whole_number(1), nargs="+", metavar="N",
                        help="numbers of spectra that are predicted at once (default: "
                        "{validation.speed:benchmark.batches})")
    parser.add_argument("--response", type=whole_number(1), nargs="+", metavar="STARS",
                        help="instead, time response fits to so many stars")
    add_model(parser.add_argument_group("model"))


def run(arguments: argparse.Namespace) -> None:
    """Print spectra per second, or the time of response fits."""
    if arguments.response:
        if arguments.model is not None or arguments.batches is not None:
            raise InputError("--response has neither --model nor --batches; leave them out")
        from sedflux.validation.response_run import measure_scaling

        table = measure_scaling(arguments.response)
        say(f"{row['stars']:6d} stars, {table.meta['bands']} bands: {row['seconds']:7.2f} s, "
            f"{row['memory']:.2f} GB" for row in table)
        return
    from sedflux.validation.speed import benchmark

    sizes = {} if arguments.batches is None else {"batches": arguments.batches}
    table = benchmark(arguments.model, **sizes)
    say([f"threads {table.meta['threads']}; model loaded and first spectrum predicted in "
         f"{table.meta['start']:.2f} s"])
    say(f"batch {row['batch']:6d}: {row['rate']:8.1f} spectra/s" for row in table)
