"""What a shell sees: imports, streams, signals, help, completion."""

import importlib
import inspect
import os
import re
import signal
import subprocess
import sys

import pytest

from sedflux import FieldTerms
from sedflux.cli.defaults import default_of
from sedflux.cli.main import build_parser, main

HEAVY = ("numpy", "astropy", "torch", "specutils", "scipy", "synphot", "matplotlib", "pooch")


def commands(parser=None, words=()):
    """Every command with its parser."""
    parser = parser or build_parser()
    below = [action for action in parser._actions if isinstance(getattr(action, "choices", None),
                                                                dict)]
    if not below:
        yield words, parser
    for action in below:
        for name, child in action.choices.items():
            yield from commands(child, (*words, name))


COMMANDS = dict(commands())


def in_a_shell(arguments, **options):
    return subprocess.run([sys.executable, "-m", "sedflux", *arguments], text=True, timeout=300,
                          stderr=subprocess.PIPE, **options)


@pytest.mark.parametrize("arguments", [
    "--help", "--version", "train finetune --help", "predict", "predict --medium ether",
    "predict a.fits --bandpass b", "validate", "simulate --seed -1 -o x", "--frobnicate"])
def test_help_and_errors_of_usage_load_no_heavy_package(arguments):
    code = (f"import sys\nfrom sedflux.cli.main import main\n"
            f"try:\n    main({arguments.split()!r})\nexcept SystemExit:\n    pass\n"
            f"print(sorted(set({HEAVY!r}) & set(sys.modules)), file=sys.stderr)")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.splitlines()[-1] == "[]"


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_help_has_an_example_and_every_default(words, capsys):
    with pytest.raises(SystemExit):
        main([*words, "--help"])
    text = capsys.readouterr().out
    assert f"example:\n  sedflux {' '.join(words)}" in text
    assert "{" not in re.sub(r"\{[\w,-]+\}", "", text)
    assert "None" not in text


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_examples_are_allowed(words):
    """The parser takes the example of every command."""
    parser = COMMANDS[words]
    example = parser.epilog.split("\n", 1)[1].split(">")[0].split()
    assert example[0] == "sedflux"
    arguments = build_parser().parse_args(example[1:])
    assert arguments.run is parser.get_default("run")


def test_one_name_for_one_thing():
    """The same options in all commands, with the same short forms."""
    for words, parser in COMMANDS.items():
        for action in parser._actions:
            names = set(action.option_strings)
            assert not names & {"--out", "--force", "--clobber", "--mag", "--outfile"}, words
            if "--output" in names:
                assert "-o" in names, words


#: Defaults that a help names, as module and name, of all options of all commands.
NAMED_DEFAULTS = sorted({found for parser in COMMANDS.values() for action in parser._actions
                         for found in re.findall(r"\{([\w.]+):([\w.]+)\}", action.help or "")})
#: Defaults that an option has itself.  The others are None, and leave the default to Python.
OWN_DEFAULTS = {("simulate", "stars"): 80, ("simulate", "seed"): 1,
                ("simulate", "instrument"): "lookalike", ("response", "fit", "position"): 0,
                ("validate", "output"): "validation"}


@pytest.mark.parametrize(("module", "name"), NAMED_DEFAULTS, ids=":".join)
def test_defaults_in_the_help_are_those_of_the_code(module, name):
    owner, _, argument = name.partition(".")
    real = getattr(importlib.import_module(f"sedflux.{module}"), owner)
    if argument:
        real = inspect.signature(real).parameters[argument].default
    assert default_of(module, name) == real


def test_many_defaults_are_named():
    assert len(NAMED_DEFAULTS) > 20


def test_options_leave_their_defaults_to_python():
    found = {}
    for words, parser in COMMANDS.items():
        for action in parser._actions:
            flag = action.option_strings and action.nargs != 0
            if flag and action.default not in (None, []):
                found[*words, action.dest] = action.default
    assert found == OWN_DEFAULTS
    assert OWN_DEFAULTS["response", "fit", "position"] == FieldTerms().position


def test_a_reader_that_stops_reading_is_no_error():
    with subprocess.Popen([sys.executable, "-u", "-m", "sedflux", "models"],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
@pytest.mark.parametrize("arguments", ["models", "--version", "predict --demo --json"])
def test_a_full_disk_is_told_in_one_line(arguments):
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"}
    with open("/dev/full", "w") as full:
        done = in_a_shell(arguments.split(), stdout=full, env=environment)
    assert done.returncode == 2
    assert done.stderr == ("sedflux: error: the standard output cannot be written "
                           "(No space left on device)\n")


@pytest.mark.parametrize(("number", "status", "word"), [
    (signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")])
def test_interrupt_from_the_keyboard_and_end_of_a_job(number, status, word):
    """A signal while a command works: one line, and 128 plus the number as status."""
    with subprocess.Popen(
        # Where tests run side by side, their processes ignore the signal.
        [sys.executable, "-c", "import signal\n"
         "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
         "import time\nimport sedflux.cli.models as models\n"
         "from sedflux.cli.main import main\nimport sys\n"
         "import sedflux.predict.models as below\n"
         "def wait():\n    print('ready', flush=True)\n    time.sleep(100)\n"
         "below.list_models = wait\nsys.exit(main(['models']))"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (status, f"sedflux: error: {word}\n")


def test_messages_go_to_the_standard_error_as_verbosity_asks(capsys, tmp_path):
    assert main(["predict", "nothing.fits", "-v"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "Traceback" in err
    assert main(["predict", "nothing.fits", "-q"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_completion_scripts_know_every_command(shell, capsys):
    pytest.importorskip("shtab")
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    for word in ("fetch-library", "finetune", "reddening-error", "not-robust"):
        assert word in script
    assert "{predict." not in script


def test_completion_without_shtab_says_what_to_do(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "shtab", None)
    assert main(["completion", "bash"]) == 2
    assert "pip install 'sedflux[completion]'" in capsys.readouterr().err
