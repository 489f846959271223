"""The command ``sedflux models``."""

from __future__ import annotations

import argparse
from typing import Any

from sedflux.cli.options import add_command, say

__all__ = ["add_parser", "run"]


def add_parser(commands: Any) -> None:
    """Add ``sedflux models``."""
    add_command(commands, "models", run, "list the models", example="sedflux models")


def run(arguments: argparse.Namespace) -> None:
    """Print name, origin, hash and description of every model."""
    from sedflux.predict.models import list_models

    say(f"{entry.name:24s} {'packaged' if entry.packaged else 'fetched':9s} {entry.sha256[:12]}  "
        f"{entry.description}" for entry in list_models())
