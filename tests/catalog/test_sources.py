import numpy as np
import pytest
from astropy import units as u
from astropy.table import QTable, Table

from sedflux import InputError
from sedflux.catalog.bands import band_tables
from sedflux.catalog.sources import read_source


def test_folder_pattern_list_and_table_are_the_same_files(survey, tmp_path):
    folder = read_source(survey)
    assert len(folder) == 10
    assert sorted(folder["identifier"]) == [f"spec-{seed:03d}" for seed in range(10)]
    pattern = read_source(f"{survey}/plate1/*.fits.gz")
    assert sorted(pattern["identifier"]) == [f"spec-{seed:03d}" for seed in range(1, 10, 2)]
    assert list(read_source(list(folder["path"]))["path"]) == list(folder["path"])
    table = QTable({"path": folder["path"], "identifier": [f"star {i}" for i in range(10)],
                    "radial_velocity": np.arange(10) * 1000.0 * u.m / u.s})
    table.write(tmp_path / "stars.ecsv")
    rows = read_source(tmp_path / "stars.ecsv")
    assert rows["identifier"][3] == "star 3"
    np.testing.assert_allclose(rows["radial_velocity"], np.arange(10))


def test_hidden_files_and_linked_folders_are_left_out(survey, tmp_path):
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / "a.fits").touch()
    (tmp_path / "b.fits").touch()
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "elsewhere").symlink_to(survey)
    assert list(read_source(tmp_path)["identifier"]) == ["b"]


def test_names_that_repeat_become_paths(survey, tmp_path):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.fits").touch()
    assert list(read_source(tmp_path)["identifier"]) == ["one/a.fits", "two/a.fits"]


def test_arrays(star, tmp_path):
    import zarr

    wavelength, flux = star
    arrays = {"wavelength": wavelength, "flux": np.stack([flux, flux]),
              "ivar": np.full((2, flux.size), 1e4), "identifier": np.array(["a", "b"]),
              "reddening": np.array([0.1, np.nan])}
    np.savez(tmp_path / "stars.npz", **arrays)
    group = zarr.open_group(str(tmp_path / "stars.zarr"), mode="w")
    for name in ("wavelength", "flux", "ivar", "reddening"):
        group.create_array(name, data=arrays[name])
    packed, chunked = read_source(tmp_path / "stars.npz"), read_source(tmp_path / "stars.zarr")
    assert list(packed["identifier"]) == ["a", "b"]
    assert list(chunked["identifier"]) == ["0", "1"]
    np.testing.assert_array_equal(packed["reddening"], chunked["reddening"])


@pytest.mark.parametrize(("source", "message"), [
    ("nowhere", "is no folder, pattern"), (3, "source is a int"), ([], "holds no spectra"),
    (Table({"name": ["a"]}), "needs 'path'"),
    (Table({"path": ["a.fits", "b.fits"], "identifier": ["x", "x"]}), "'x' occurs 2 times"),
    (Table({"path": ["a.fits"], "reddening": ["much"]}), "no column of numbers"),
    (Table({"path": ["a.fits"], "magnitude": [12.0]}), "needs 'band' too"),
    (Table({"path": ["a.fits"], "band": ["g"]}), "but no 'magnitude'"),
    (Table({"path": ["a.fits"], "magnitude": [12.0], "band": [""]}), "a band"),
    (Table({"path": ["a.fits"], "magnitude": [99.0], "band": ["g"]}), "'a' has the magnitude 99"),
    (Table({"path": ["a.fits"], "magnitude": [9.0], "band": ["g"], "magnitude_error": [-1.0]}),
     "errors of 0 to 10"),
])
def test_bad_sources_are_refused(source, message):
    with pytest.raises(InputError, match=message):
        read_source(source)


def test_magnitudes_of_a_table():
    table = Table({"path": ["a.fits", "b.fits"], "band": ["g", "r"]}, masked=True)
    table["magnitude"] = np.ma.array([12.0, 99.0], mask=[False, True])
    table["magnitude"].unit = u.ABmag
    rows = read_source(table)
    np.testing.assert_array_equal(rows["magnitude"], [12.0, np.nan])
    with pytest.raises(InputError, match="nowhere"):
        band_tables(rows, {"g": "nowhere.txt"})
    with pytest.raises(InputError, match="bands is a list"):
        band_tables(rows, ["g"])


def test_bad_arrays_are_refused(tmp_path):
    np.savez(tmp_path / "a.npz", wavelength=np.ones(3), flux=np.ones((2, 3)))
    with pytest.raises(InputError, match="lack ivar"):
        read_source(tmp_path / "a.npz")
    np.savez(tmp_path / "b.npz", wavelength=np.ones(3), flux=np.ones((2, 3)), ivar=np.ones(3))
    with pytest.raises(InputError, match="have the shapes"):
        read_source(tmp_path / "b.npz")
    (tmp_path / "c.npz").write_bytes(b"nothing")
    with pytest.raises(InputError, match="cannot be read"):
        read_source(tmp_path / "c.npz")


@pytest.mark.parametrize(("name", "values", "message"), [
    ("identifier", "x", "'identifier' of the shape"),
    ("radial_velocity", [1.0, 2.0, 3.0], "'radial_velocity' of the shape"),
    ("radial_velocity", ["a", "b"], "'radial_velocity' of the type")])
def test_arrays_with_damaged_columns(star, tmp_path, name, values, message):
    wavelength, flux = star
    arrays = {"wavelength": wavelength, "flux": np.stack([flux] * 2),
              "ivar": np.ones((2, flux.size))}
    np.savez(tmp_path / "stars.npz", **arrays, **{name: np.array(values)})
    with pytest.raises(InputError, match=message):
        read_source(tmp_path / "stars.npz")


def test_arrays_are_no_files_of_a_list(tmp_path):
    with pytest.raises(InputError, match="file of arrays as the source itself"):
        read_source(Table({"path": [str(tmp_path / "stars.npz")]}))
    with pytest.raises(InputError, match="give paths of files"):
        read_source([3.0 * u.m])
