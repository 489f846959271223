"""What importing costs, and which module may import what."""

import ast
import graphlib
import subprocess
import sys
from pathlib import Path

import pytest

import sedflux

ROOT = Path(sedflux.__file__).parent


def test_import_loads_neither_torch_nor_specutils():
    code = ("import sys, sedflux; "
            "print(sorted({'torch', 'specutils', 'synphot', 'scipy', 'matplotlib'} "
            "& set(sys.modules)))")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_predictions_need_no_torch(tmp_path):
    """By a call, by ``sedflux predict`` and by ``sedflux catalog``."""
    code = """
import sys
from sedflux import predict_sed
from sedflux.cli.main import main
from sedflux.demo import demo_path, demo_spectrum
star = str(demo_path("16cygb_miles"))
predict_sed(demo_spectrum())
main(["predict", star, "-o", sys.argv[1] + "/sed.fits"])
main(["catalog", star.replace("16cygb", "16*"), sys.argv[1] + "/catalog", "--workers", "1"])
print("torch" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True,
                          check=True)
    assert done.stdout.splitlines()[-1] == "False"
    assert (tmp_path / "catalog" / "catalog.json").exists()


@pytest.mark.parametrize("name", sedflux.__all__)
def test_public_names_exist(name):
    assert getattr(sedflux, name) is not None
    assert name in dir(sedflux)


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'magic'"):
        sedflux.magic  # noqa: B018


def _imports(path):
    """Top-level packages and sedflux modules that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.add(node.module)
    return found


#: Rooms (modules and folders of the package), the lowest first.  A room imports from lower
#: rows alone: two rooms of one row do not know each other.
LAYERS = (
    ("exceptions", "_version"),
    ("covariance", "units", "writing"),
    ("figure_style",),
    ("plotting",),
    ("spectra",),
    ("io", "photometry", "network"),
    ("libraries", "slitless", "demo"),
    ("emulator", "predict", "response"),
    ("conditioning",),
    ("catalog", "simulate"),
    ("training",),
    ("validation",),
    ("cli",),
    ("__main__",),
)
#: The face of the package hands names on, without loading them.
FACE = "__init__"
FLOOR = {room: floor for floor, rooms in enumerate(LAYERS) for room in rooms}

#: Where each heavy package may be imported, relative to the package.
HOMES = {
    "torch": ("network/architecture.py", "network/checkpoint.py", "network/derived.py",
              "network/device.py", "network/label_grid.py", "network/layers.py",
              "network/output.py", "network/projection.py", "network/tensor_continuum.py",
              "network/tensor_pixels.py", "network/tensors.py", "network/threads.py",
              "predict/tensor_chain.py", "predict/tensor_rejection.py", "predict/tensor_screen.py",
              "training/"),
    "specutils": ("spectra/spectrum.py", "spectra/sed.py", "io/", "predict/", "response/",
                  "simulate/", "validation/response_parts.py", "validation/peers.py"),
    "synphot": ("photometry.py", "slitless/throughput.py", "validation/stars.py"),
    "pooch": ("io/download.py", "predict/models.py"),
}
MODULES = {".".join(path.relative_to(ROOT).with_suffix("").parts): path
           for path in sorted(ROOT.rglob("*.py"))}


def _modules_of(path):
    """Modules of sedflux that a file imports, anywhere in it, without the package's name."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "sedflux":
            below = node.module.partition(".")[2]
            for alias in node.names:
                inner = f"{below}.{alias.name}".strip(".")
                found.add(inner if inner in MODULES else below)
    return found - {""}


@pytest.mark.parametrize("module", MODULES)
def test_arrows_point_down(module):
    room = module.partition(".")[0]
    if room == FACE:
        return
    for other in _modules_of(MODULES[module]):
        below = other.partition(".")[0]
        assert below == room or FLOOR[below] < FLOOR[room], f"{module} must not import {other}"


def test_no_module_imports_itself_by_a_detour():
    """No circle, imports within functions included."""
    arrows = {module: {other for other in _modules_of(path) if other in MODULES}
              for module, path in MODULES.items() if path.name != "__init__.py"}
    sorter = graphlib.TopologicalSorter(arrows)
    assert len(list(sorter.static_order())) >= len(arrows)


@pytest.mark.parametrize("module", MODULES)
def test_heavy_packages_stay_at_home(module):
    imports = _imports(MODULES[module])
    place = MODULES[module].relative_to(ROOT).as_posix()
    for package, homes in HOMES.items():
        if any(name == package or name.startswith(package + ".") for name in imports):
            assert place.startswith(homes), f"{place} must not import {package}"


@pytest.mark.parametrize("module", ["spectra.grids", "spectra.resolution", "spectra.continuum"])
def test_operators_are_numpy_and_scipy_alone(module):
    allowed = ("numpy", "scipy", "functools", "collections.abc", "sedflux.spectra.grids")
    assert all(name.startswith(allowed) for name in _imports(MODULES[module]))


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT)))
def test_every_module_has_a_docstring_and_all(path):
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree)
    if path.name not in ("__init__.py", "__main__.py", "_version.py"):
        names = {target.id for node in tree.body if isinstance(node, ast.Assign)
                 for target in node.targets if isinstance(target, ast.Name)}
        assert "__all__" in names


@pytest.mark.parametrize("module", MODULES)
def test_modules_and_functions_are_short(module):
    """400 lines a module; 60 lines a function, beside its docstring."""
    text = MODULES[module].read_text()
    assert len(text.splitlines()) <= 400
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            described = ast.get_docstring(node) is not None
            start = node.body[0].end_lineno if described else node.lineno
            assert node.end_lineno - start < 60, f"{module}.{node.name} is too long"
