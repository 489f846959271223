"""Model files with missing or wrong entries are refused, and the message names the entry."""

import json
from copy import deepcopy

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from sedflux import ModelError, Predictor, SedfluxError, WeightsError
from sedflux.network.architecture import build
from sedflux.network.checkpoint import load_network, save_network
from sedflux.network.config import Config

SMALL = Config(pixels=60, samples=5, components=4, sed_components=3, width=8, blocks=1, groups=4,
               rank=2, knots=3)
METADATA = {
    "name": "uara.test",
    "caveat": "",
    "calibration": {"snr": [6.0, 60.0], "wavelength": [3000.0, 5000.0, 8000.0],
                    "scale": [[1.0, 1.1, 0.9], [1.2, 1.0, 1.0]]},
    "domain": {"excess": 0.02, "unusual": 5.0, "strange": 6.0, "teff": [4700.0, 10000.0],
               "gravity": [[4500.0, 9000.0], [1.0, 3.3]], "prior": "flat"},
    "scatter": {"directions": [[1.0, 0, 0, 0, 0], [0, 1.0, 0, 0, 0]], "teff": [5000.0, 7000.0],
                "length": [[0.01, 0.02], [0.03, 0.0]], "wavelength": [3000.0, 5000.0],
                "scale": [0.9, 1.1]},
    "kernels": [[0.1, 0.2], [0.3, 0.4]],
    "odds": {"slope": 0.8, "offset": 1.5},
    "grid_weight": {"fit": [1.0, 2.0], "weight": [0.5, 0.0], "snr": [5.0, 50.0],
                    "scale": [1.0, 0.8]},
}
NAN, INF = float("nan"), float("inf")


def changed(entry, value):
    """The metadata with one entry replaced, or removed if the value is None."""
    metadata = deepcopy(METADATA)
    *parents, last = entry.split(".")
    table = metadata
    for parent in parents:
        table = table[parent]
    if value is None:
        del table[last]
    else:
        table[last] = value
    return metadata


def rewrite(path, **header):
    """Replace entries of a file's header; None removes one."""
    with safe_open(path, framework="pt") as stream:
        tensors = {name: stream.get_tensor(name) for name in list(stream.keys())}
        old = stream.metadata()
    new = {key: value for key, value in (old | header).items() if value is not None}
    save_file(tensors, path, metadata=new)


@pytest.fixture
def path(tmp_path):
    torch.manual_seed(0)
    path = tmp_path / "uara.test.safetensors"
    save_network(path, build(SMALL), METADATA)
    return path


def test_good_metadata_is_read(path):
    assert load_network(path)[1] == METADATA


@pytest.mark.parametrize("entry", [
    "domain.strange", "domain.prior", "domain.gravity", "scatter", "kernels", "name", "caveat"])
def test_optional_entries_may_be_missing(path, entry):
    save_network(path, build(SMALL), changed(entry, None))
    assert load_network(path)[1] == changed(entry, None)


@pytest.mark.parametrize("entry", [
    "calibration.snr", "calibration.wavelength", "calibration.scale", "domain.excess",
    "domain.unusual", "domain.teff", "scatter.directions", "scatter.teff", "scatter.length",
    "scatter.wavelength", "scatter.scale"])
def test_missing_entries_are_named(path, entry):
    save_network(path, build(SMALL), changed(entry, None))
    table, name = entry.split(".")
    with pytest.raises(WeightsError, match=f"{table} lacks {name}"):
        load_network(path)


@pytest.mark.parametrize(("entry", "value"), [
    ("name", 3), ("caveat", [1]),
    ("calibration", 1.0), ("calibration.snr", [60.0, 6.0]), ("calibration.snr", [-1.0, 6.0]),
    ("calibration.snr", []), ("calibration.wavelength", [3000.0, NAN, 8000.0]),
    ("calibration.wavelength", "3000"), ("calibration.scale", [[1.0, 1.1], [1.2, 1.0]]),
    ("calibration.scale", [[1.0, 1.1, 0.9], [1.2, 1.0]]),
    ("calibration.scale", [[1.0, 1.1, 0.0], [1.2, 1.0, 1.0]]),
    ("calibration.scale", [[1.0, 1.1, INF], [1.2, 1.0, 1.0]]),
    ("domain", []), ("domain.excess", 0.0), ("domain.excess", "0.02"), ("domain.unusual", [5.0]),
    ("domain.unusual", True), ("domain.strange", NAN), ("domain.strange", -6.0),
    ("domain.teff", [4700.0]), ("domain.teff", [10000.0, 4700.0]), ("domain.teff", [INF, INF]),
    ("odds", 0.5), ("odds.slope", 0.0), ("odds.offset", NAN),
    ("grid_weight", 0.5), ("grid_weight.fit", [2.0, 1.0]), ("grid_weight.weight", [0.5]),
    ("grid_weight.weight", [0.5, 1.5]), ("grid_weight.snr", [5.0, 5.0]),
    ("grid_weight.scale", [1.0, 0.0]),
    ("domain.gravity", [[4500.0, 9000.0], [1.0]]), ("domain.gravity", [4500.0, 1.0]),
    ("domain.gravity", [[9000.0, 4500.0], [1.0, 3.3]]),
    ("domain.prior", "other"), ("domain.prior", 1),
    ("scatter", "none"), ("scatter.directions", [[1.0, 0.0]]), ("scatter.directions", [1.0] * 5),
    ("scatter.directions", [[NAN] * 5, [0.0] * 5]), ("scatter.teff", [5000.0, NAN]),
    ("scatter.teff", [7000.0, 5000.0]), ("scatter.length", [[0.01], [0.03]]),
    ("scatter.length", [[0.01, -0.02], [0.03, 0.0]]), ("scatter.scale", [0.9]),
    ("scatter.scale", [0.9, NAN]), ("scatter.wavelength", [5000.0, 3000.0]),
    ("kernels", []), ("kernels", [[0.1, 0.2], [0.3]]), ("kernels", [["a"]]),
    ("kernels", [[0.1, NAN]])])
def test_wrong_entries_are_named(path, entry, value):
    save_network(path, build(SMALL), changed(entry, value))
    with pytest.raises(WeightsError, match=rf"is damaged: {entry}\b.*; fetch it again"):
        load_network(path)


@pytest.mark.parametrize("key", ["config", "sedflux"])
@pytest.mark.parametrize("value", [None, "", "{", "[" * 100_000])
def test_headers_that_are_missing_or_no_json(path, key, value):
    rewrite(path, **{key: value})
    with pytest.raises(WeightsError, match=f"'{key}' in its header"):
        load_network(path)


@pytest.mark.parametrize("value", ["3", "null", "[]"])
def test_headers_that_are_no_tables(path, value):
    rewrite(path, config=value)
    with pytest.raises(ModelError, match="table of entries is needed"):
        load_network(path)
    rewrite(path, config=json.dumps(SMALL.to_dict()), sedflux=value)
    with pytest.raises(WeightsError, match="table of entries is needed"):
        load_network(path)


@pytest.mark.parametrize(("entry", "value"), [
    ("arch", 3), ("pixels", 0), ("samples", -5), ("components", 2.5), ("sed_components", "3"),
    ("width", 10_000_000), ("width", 9), ("blocks", 10**9), ("blocks", -1), ("groups", 3),
    ("groups", None), ("channels", 4), ("channels", [0]), ("channels", [4] * 1000),
    ("channels", ["a"]), ("rank", True), ("rank", 4), ("knots", 0), ("labels", NAN),
    ("shrink", 1), ("references", -1), ("references", 10**12)])
def test_wrong_configurations_are_named(path, entry, value):
    rewrite(path, config=json.dumps(SMALL.to_dict() | {entry: value}))
    named = "width" if entry == "groups" and value == 3 else entry
    with pytest.raises(ModelError, match=rf"uara.test.safetensors.*: {named} is "):
        load_network(path)


@pytest.mark.parametrize(("entry", "value", "tensor"), [
    ("pixels", 61, "projection.templates"), ("components", 99_999, "projection.templates"),
    ("samples", 99_999, "sed_templates"), ("sed_components", 4, "sed_templates"),
    ("width", 99_996, "entry.bias"), ("labels", 7, "mean_head.weight"),
    ("knots", 99_999, "variance_head.weight"), ("rank", 3, "factor_head.weight"),
    ("blocks", 2, "trunk.1.first.weight"), ("references", 5, "references"),
    ("groups", 8, "trunk.0.shrink"), ("channels", [4], "convolutions.0.first.bias")])
def test_sizes_that_the_weights_do_not_have_are_refused_before_they_take_memory(
        path, entry, value, tensor, monkeypatch):
    """Sizes that fit the format but not the file: no such network is ever built."""
    built = []
    monkeypatch.setattr("sedflux.network.checkpoint.build",
                        lambda config: built.append(config) or build(config))
    metadata = {"name": "uara.test"}
    config = SMALL.to_dict() | {entry: value}
    if entry == "channels":
        config |= {"pixels": 60}
    rewrite(path, config=json.dumps(config), sedflux=json.dumps(metadata))
    with pytest.raises(WeightsError, match=f"does not fit its configuration: .*{tensor}"):
        load_network(path)
    # Groups change a few thousand numbers at most and are compared afterwards.
    assert not built or entry == "groups"


def test_weights_of_another_type_or_name_are_refused(path):
    with safe_open(path, framework="pt") as stream:
        tensors = {name: stream.get_tensor(name) for name in list(stream.keys())}
        header = stream.metadata()
    save_file(tensors | {"sed_mean": torch.zeros(5, dtype=torch.int64)}, path, metadata=header)
    with pytest.raises(WeightsError, match="sed_mean has the type I64"):
        load_network(path)
    save_file(tensors | {"more": torch.zeros(5)}, path, metadata=header)
    with pytest.raises(WeightsError, match="unknown tensors more"):
        load_network(path)
    save_file(tensors | {"sed_mean": torch.full((5,), NAN, dtype=torch.bfloat16)}, path,
              metadata=header)
    with pytest.raises(WeightsError, match="not finite"):
        load_network(path)


@pytest.mark.parametrize("entry", ["calibration", "domain"])
def test_predictors_need_calibration_and_domain(path, entry):
    save_network(path, build(SMALL), changed(entry, None))
    with pytest.raises(WeightsError, match=f"has no {entry} in its header"):
        Predictor(path)


def test_predictors_need_the_sizes_of_the_grids(path):
    with pytest.raises(ModelError, match=r"pixels = 60; this use needs 2430"):
        Predictor(path)


def test_every_packaged_model_passes():
    for name in ("uara.stars2", "uara.synthetic3", "uara.da1"):
        assert Predictor(name).name == name


@pytest.mark.parametrize("cut", [1, 100, 1000, -1, -1000])
def test_cut_files_are_refused(path, cut):
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(SedfluxError, match="damaged"):
        load_network(path)


def test_scale_of_sigma_may_follow_the_temperature(path):
    by_teff = changed("scatter.scale", [[0.9, 1.1], [1.0, 1.2]])
    save_network(path, build(SMALL), by_teff)
    assert load_network(path)[1] == by_teff
    by_teff["scatter"] |= {"mh": [-1.5, -0.5], "scale": [[[0.9, 1.1], [1.0, 1.2]]] * 2}
    save_network(path, build(SMALL), by_teff)
    assert load_network(path)[1] == by_teff
    for wrong in ({"mh": [-1.5]}, {"mh": [-0.5, -1.5]}, {"mh": None}):
        save_network(path, build(SMALL), by_teff | {"scatter": by_teff["scatter"] | wrong})
        with pytest.raises(WeightsError, match=r"scatter\.(scale|mh)"):
            load_network(path)
    save_network(path, build(SMALL), changed("scatter.scale", [[0.9, 1.1]]))
    with pytest.raises(WeightsError, match=r"scatter\.scale"):
        load_network(path)
