"""
Defaults of functions and dataclasses, for the help.

The help has placeholders, ``{module:function.argument}`` or ``{module:CONSTANT}``, which are
replaced by the values.  The values are read from the source, because an import of torch and
astropy would take seconds.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import sedflux

__all__ = ["default_of", "fill_defaults"]

_PLACEHOLDER = re.compile(r"\{([\w.]+):([\w.]+)\}")


def fill_defaults(text: str) -> str:
    """
    Replace the placeholders of a text by defaults.

    Parameters
    ----------
    text : str

    Returns
    -------
    text : str

    Examples
    --------
    >>> from sedflux.cli.defaults import fill_defaults
    >>> fill_defaults("number of steps (default: {training.run:train_on_library.steps})")
    'number of steps (default: 24000)'
    """
    return _PLACEHOLDER.sub(lambda found: _shown(default_of(*found.groups())), text)


def _shown(value):
    return " ".join(map(_shown, value)) if isinstance(value, (tuple, list)) else (
        f"{value:g}" if isinstance(value, float) else str(value))


def default_of(module: str, name: str) -> Any:
    """
    A default, or a constant, of a module, without an import of the module.

    Parameters
    ----------
    module : str
        Below ``sedflux``.
    name : str
        ``function.argument``, ``Class.attribute``, ``Class.method.argument`` or ``CONSTANT``.

    Returns
    -------
    value : object
        Text, a number, or a tuple of them.
    """
    value = _values(module)[name]
    return default_of(value.module, value.name) if isinstance(value, _Imported) else value


class _Imported(NamedTuple):
    """A name that a module takes from another module of sedflux."""

    module: str
    name: str


@cache
def _values(module: str) -> dict[str, Any]:
    """Literal constants and defaults of a module, by name."""
    path = Path(sedflux.__file__).parent.joinpath(*module.split(".")).with_suffix(".py")
    found: dict[str, Any] = {}
    _collect(ast.parse(path.read_text(encoding="utf-8")).body, "", found)
    return found


def _collect(body, prefix, found):
    for node in body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sedflux."):
            above = node.module.removeprefix("sedflux.")
            found |= {alias.asname or alias.name: _Imported(above, alias.name)
                      for alias in node.names}
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            _keep(found, prefix + node.targets[0].id, node.value)
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Tuple):
            values = getattr(node.value, "elts", ())
            for target, value in zip(node.targets[0].elts, values, strict=False):
                if isinstance(target, ast.Name):
                    _keep(found, prefix + target.id, value)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value:
            _keep(found, prefix + node.target.id, node.value)
        elif isinstance(node, ast.ClassDef):
            _collect(node.body, f"{prefix}{node.name}.", found)
        elif isinstance(node, ast.FunctionDef):
            arguments = node.args
            last = arguments.args[len(arguments.args) - len(arguments.defaults):]
            pairs = [*zip(last, arguments.defaults, strict=True),
                     *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)]
            for argument, default in pairs:
                if default is not None:
                    _keep(found, f"{prefix}{node.name}.{argument.arg}", default)


def _keep(found: dict[str, Any], name: str, node: ast.expr) -> None:
    """Store a value that is a literal, or the name of a constant with a literal value."""
    try:
        found[name] = _constant(node, found)
    except (KeyError, ValueError):
        return


def _constant(node: ast.expr, known: Mapping[str, Any]) -> Any:
    return known[node.id] if isinstance(node, ast.Name) else ast.literal_eval(node)
