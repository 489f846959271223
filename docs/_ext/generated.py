"""Directives that write the reference from the package: options, flags, instruments, models."""

from __future__ import annotations

import argparse
import json
import math
import re
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import directives
from safetensors import safe_open
from sphinx.util.docutils import SphinxDirective
from sphinx.util.nodes import make_refnode
from sphinx_gallery.directives import imgsgnode

from sedflux.cli.main import build_parser
from sedflux.predict.flags import FLAGS
from sedflux.predict.models import find_model, registry
from sedflux.slitless.instrument import get_instrument, list_instruments

#: Width of the usage of a command in characters: it fits a page of 1280 pixels.
_USAGE_WIDTH = 78


def escaped(text: str) -> str:
    """Plain text for reStructuredText: nothing in it is markup."""
    return re.sub(r"([\\*`|_])", r"\\\1", " ".join(text.split()))


def find_parser(parser: argparse.ArgumentParser, words: list[str]) -> argparse.ArgumentParser:
    """The parser of a command such as ``["response", "fit"]``."""
    for word in words:
        parser = subcommands(parser)[word]
    return parser


def subcommands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """Parsers of the commands of a parser, by name; none if it has no commands."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}


def all_commands(parser: argparse.ArgumentParser, before: str = "") -> Iterator[str]:
    """Every command that does something: ``predict``, ``response fit`` and so on."""
    for name, below in subcommands(parser).items():
        words = f"{before} {name}".strip()
        if subcommands(below):
            yield from all_commands(below, words)
        else:
            yield words


def command_lines(parser: argparse.ArgumentParser) -> Iterator[str]:
    """Usage and options of a command, as reStructuredText."""
    fill = getattr(parser, "fill_help", None)
    if fill is not None:
        fill()
    formatter = argparse.HelpFormatter(prog=parser.prog, width=_USAGE_WIDTH)
    formatter.add_usage(parser.usage, parser._actions, parser._mutually_exclusive_groups)
    yield from _literal(formatter.format_help().removeprefix("usage: ").rstrip().splitlines(),
                        language="text")
    for group in parser._action_groups:
        actions = [action for action in group._group_actions
                   if action.help != argparse.SUPPRESS and "--help" not in action.option_strings]
        if not actions:
            continue
        yield from (f"**{escaped(group.title or 'options')}**", "")
        for action in actions:
            yield from _option(formatter, action)


def _option(formatter, action):
    """One option with its help, as an item of a definition list."""
    names = [formatter._format_action_invocation(action)] if not action.option_strings else [
        f"{name} {formatter._format_args(action, action.dest.upper())}".rstrip()
        if action.nargs != 0 else name for name in action.option_strings]
    yield ", ".join(f"``{name}``" for name in names)
    text = escaped(formatter._expand_help(action)) if action.help else ""
    if action.choices and "{" not in (action.metavar or "{"):
        text += " One of " + ", ".join(f"``{choice}``" for choice in action.choices) + "."
    if action.required:
        text = f"{text} *Required.*".strip()
    yield from (f"    {text or chr(92) + ' '}", "")


def _literal(lines, language):
    yield from (f".. code-block:: {language}", "")
    yield from (f"    {line}" for line in lines)
    yield ""


class CommandOptions(SphinxDirective):
    """``.. command-options:: response fit``: usage and options of a command."""

    has_content = False
    required_arguments = 1
    final_argument_whitespace = True

    def run(self):
        parser = find_parser(build_parser(), self.arguments[0].split())
        return self.parse_text_to_nodes("\n".join(command_lines(parser)))


def flag_lines() -> Iterator[str]:
    """All flags as a definition list: name and bit, sentence, and what it means."""
    for one in sorted(FLAGS, key=lambda flag: flag.bit):
        sentence = one.sentence.replace("{cool:.0f} K", "the model").replace(
            "{hot:.0f} K", "the model")
        yield from (f"``{one.name}`` (bit {one.bit})",
                    f"    **{escaped(sentence)}.** {escaped(one.explanation)}", "")


class FlagTable(SphinxDirective):
    """``.. flag-table::``: all flags of `sedflux.predict.flags`."""

    def run(self):
        return self.parse_text_to_nodes("\n".join(flag_lines()))


def instrument_lines() -> Iterator[str]:
    """All packaged descriptions of instruments, one section each."""
    for name in list_instruments():
        instrument = get_instrument(name)
        title = f"``{name}``"
        yield from (title, "^" * len(title), "", f"{escaped(instrument.title)}.",
                    f"{escaped(instrument.note)}.", "", ".. list-table::", "   :header-rows: 1", "",
                    "   * - band", "     - range (Å)", "     - FWHM of the line-spread function",
                    "     - first pixel, Å a pixel", "     - collecting area (cm²)")
        for band in instrument.bands.values():
            low, high = band.wavelength_range
            yield from (f"   * - {band.name}", f"     - {low:.0f}-{high:.0f}",
                        f"     - {_width(band)}", f"     - {_dispersion(band)}",
                        f"     - {band.area.to_value('cm2'):.0f}")
        yield ""


def _width(band):
    middle = 0.5 * sum(band.wavelength_range)
    return f"{float(band.line_spread.fwhm_at(middle)):.0f} Å at {middle:.0f} Å"


def _dispersion(band):
    first, step = list(band.dispersion)[:2]
    return f"{first:.0f}, {step:g}"


class InstrumentTables(SphinxDirective):
    """``.. instrument-tables::``: the packaged descriptions of instruments."""

    def run(self):
        return self.parse_text_to_nodes("\n".join(instrument_lines()), allow_section_headings=True)


def model_lines(name: str) -> Iterator[str]:
    """What the registry and the header of a packaged model say, as a field list."""
    entry = registry()[0][name]
    path = Path(find_model(name))
    with safe_open(path, framework="numpy") as file:
        header = json.loads(file.metadata()["sedflux"])
        config = json.loads(file.metadata()["config"])
        size = sum(math.prod(file.get_slice(key).get_shape())
                   for key in file.keys())  # noqa: SIM118
    cool, hot = header["domain"]["teff"]
    yield from (f":Predicts: {escaped(header['predicts'])}",
                f":Stars: {cool:.0f}-{hot:.0f} K; others are flagged",
                f":Prior of the labels: {header['domain']['prior']}",
                f":Network: {config['arch']}, {size / 1e6:.2f} million numbers",
                f":File: ``{entry.filename}``, {path.stat().st_size / 1e6:.1f} MB, packaged"
                if entry.packaged else f":File: ``{entry.filename}``",
                f":Library: {header['data']['models']} models, SHA-256 "
                f"``{header['data']['sha256'][:16]}``...; {escaped(header['data']['test'])}")
    files = header["training"].get("files", {})
    if files:
        yield ":Stars' data: " + ", ".join(f"``{file}`` (SHA-256 ``{value[:16]}``...)"
                                           for file, value in files.items())
    yield from (f":Licence: {header['terms']}", f":SHA-256: ``{entry.sha256}``")
    if header.get("caveat"):
        yield f":Caveat: {escaped(header['caveat'])}"


class ModelHeader(SphinxDirective):
    """``.. model-header:: uara.stars2``: what the file of a packaged model says of itself."""

    required_arguments = 1

    def run(self):
        return self.parse_text_to_nodes("\n".join(model_lines(self.arguments[0])))


class NumbersTable(SphinxDirective):
    """
    A narrow table from an ECSV file, with units in its titles and rounded numbers.

    ``:columns:`` has one line a column: ``name | title | format``.  The format is one of Python's,
    or ``%`` with a number of digits for percent.  ``low..high`` joins two columns.  ``:where:``
    keeps rows with these values: ``model=left out; band=GU``.
    """

    required_arguments = 1
    option_spec = {"columns": directives.unchanged_required, "where": directives.unchanged}  # noqa: RUF012

    def run(self):
        from astropy.table import Table

        relative, path = self.env.relfn2path(self.arguments[0])
        self.env.note_dependency(relative)
        table = Table.read(path, format="ascii.ecsv")
        rows = [row for row in table if _kept(row, self.options.get("where", ""))]
        columns = [[part.strip() for part in line.split("|")]
                   for line in self.options["columns"].splitlines() if line.strip()]
        lines = [".. list-table::", "   :header-rows: 1", "   :class: numbers", ""]
        lines += _row([title for _, title, *_ in columns])
        for row in rows:
            lines += _row([_cell(row, name, *form) for name, _, *form in columns])
        return self.parse_text_to_nodes("\n".join(lines))


def _row(cells):
    marks = ["   * - ", *["     - "] * (len(cells) - 1)]
    return [mark + cell for mark, cell in zip(marks, cells, strict=True)]


def _kept(row, conditions):
    pairs = [condition.split("=") for condition in conditions.split(";") if condition.strip()]
    return all(str(row[name.strip()]) == value.strip() for name, value in pairs)


def _cell(row, name, form=""):
    if ".." in name:
        return "-".join(_cell(row, part, form) for part in name.split(".."))
    value = row[name]
    if form.startswith("%"):
        return f"{100 * float(value):.{int(form[1:] or 1)}f}"
    return f"{float(value):{form}}" if form else escaped(str(value))


def resolve_short_name(app, env, node, contents):
    """
    A link for a name that is documented under a longer one, or under ``sedflux`` itself.

    Docstrings name their neighbours shortly (`Throughput`), and classes by their modules, which
    the reference has under their public names.  What exists and has no page stays plain text.
    """
    target = node.get("reftarget", "")
    if node.get("refdomain") != "py" or not target:
        return None
    domain = env.get_domain("py")
    names = [name for name in domain.objects if name.rpartition(".")[2] == target.rpartition(".")[2]
             and name.startswith("sedflux")]
    if len(names) == 1:
        found = domain.objects[names[0]]
        return make_refnode(app.builder, node["refdoc"], found.docname, found.node_id, contents,
                            names[0])
    return contents if target.startswith("sedflux.") and _exists(target) else None


def _exists(name):
    """Whether a name is a module, or something in one."""
    module, _, inner = name.rpartition(".")
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:
        return hasattr(import_module(module), inner)


def shorten_signature(app, what, name, obj, options, signature, returned):
    """Defaults that a dataclass makes anew for every object, or that are long, as three dots."""
    short = (signature or "").replace("<factory>", "...")
    short = re.sub(r"CommonErrors\((?:[^()]|\(\))*\)", "CommonErrors(...)", short)
    return short or signature, returned


def let_figures_scroll(app, doctree):
    """Put wide figures, of stories and of accuracy, into boxes that scroll on a telephone."""
    measured = [one for one in doctree.findall(nodes.image) if "accuracy/" in one["uri"]]
    for figure in [*doctree.findall(imgsgnode), *measured]:
        box = nodes.container(classes=["figure-scroll"])
        figure.replace_self(box)
        box += figure


def add_example(app, what, name, obj, options, lines):
    """The example of an object that has it in a file: modules may not grow without end."""
    path = Path(app.srcdir) / "reference" / "examples" / f"{name}.rst"
    if path.exists():
        lines += ["", ".. rubric:: Examples", "", *path.read_text().splitlines(), ""]


def setup(app):
    """Make the directives known to sphinx."""
    app.connect("autodoc-process-signature", shorten_signature)
    app.connect("autodoc-process-docstring", add_example, priority=900)
    app.connect("doctree-read", let_figures_scroll)
    app.connect("missing-reference", resolve_short_name)
    app.add_directive("command-options", CommandOptions)
    app.add_directive("flag-table", FlagTable)
    app.add_directive("instrument-tables", InstrumentTables)
    app.add_directive("model-header", ModelHeader)
    app.add_directive("numbers-table", NumbersTable)
    return {"parallel_read_safe": True}
