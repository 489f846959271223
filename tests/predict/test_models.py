"""Models by name: packaged, in a folder, or from a server on 127.0.0.1."""

import hashlib
import json
import shutil
import socket
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from sedflux import ModelError, Predictor, WeightsError, list_models
from sedflux.io.download import file_hash
from sedflux.predict import models
from sedflux.predict.models import DEFAULT_MODEL, find_model


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture
def server(tmp_path):
    folder = tmp_path / "served"
    folder.mkdir()
    service = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = Thread(target=service.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield folder, f"http://127.0.0.1:{service.server_port}"
    service.shutdown()
    service.server_close()
    thread.join()


@pytest.fixture
def remote(tmp_path, monkeypatch):
    """A registry with one model that must be fetched, and an empty data folder."""
    def register(urls, sha256=None):
        sha256 = sha256 or hashlib.sha256(find_model().read_bytes()).hexdigest()
        registry = tmp_path / "registry.json"
        registry.write_text(json.dumps({"base_urls": urls, "models": {"uara.far": {
            "sha256": sha256, "packaged": False, "description": "for tests"}}}))
        monkeypatch.setenv("SEDFLUX_DATA_DIR", str(tmp_path / "data"))
        source = find_model()
        monkeypatch.setenv("SEDFLUX_REGISTRY", str(registry))
        return source

    return register


def dead_url():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


def test_packaged_model_is_what_the_registry_says():
    entry = next(entry for entry in list_models() if entry.name == DEFAULT_MODEL)
    assert entry.packaged
    assert hashlib.sha256(find_model().read_bytes()).hexdigest() == entry.sha256
    assert find_model().stat().st_size <= 5_000_000


def test_fetched_from_the_second_address(server, remote, tmp_path):
    folder, url = server
    source = remote([dead_url(), url])
    shutil.copy(source, folder / "uara.far.safetensors")
    path = find_model("uara.far")
    assert path == tmp_path / "data" / "uara.far.safetensors"
    assert path.read_bytes() == source.read_bytes()
    assert Predictor("uara.far").sha256 == Predictor(path).sha256


def test_wrong_hash_on_the_server(server, remote, tmp_path):
    folder, url = server
    remote([url])
    (folder / "uara.far.safetensors").write_bytes(b"something else")
    with pytest.raises(WeightsError, match=r"(?s)cannot be downloaded.*SHA-256 is .* instead of"):
        find_model("uara.far")
    assert not list((tmp_path / "data").iterdir())


def test_offline_message_says_what_to_do(remote, tmp_path):
    remote([dead_url()])
    with pytest.raises(WeightsError) as caught:
        find_model("uara.far")
    text = str(caught.value)
    for hint in ("SEDFLUX_DATA_DIR", "SEDFLUX_BASE_URLS", "uara.far.safetensors",
                 str(tmp_path / "data")):
        assert hint in text


def test_pre_placed_file_needs_no_server(remote, tmp_path):
    source = remote([])
    (tmp_path / "data").mkdir()
    shutil.copy(source, tmp_path / "data" / "uara.far.safetensors")
    assert find_model("uara.far").name == "uara.far.safetensors"


def test_a_file_is_hashed_once_while_it_does_not_change(remote, tmp_path, monkeypatch):
    source = remote([])
    (tmp_path / "data").mkdir()
    path = tmp_path / "data" / "uara.far.safetensors"
    shutil.copy(source, path)
    hashed = []
    monkeypatch.setattr(models, "file_hash", lambda path: hashed.append(path) or file_hash(path))
    for _ in range(3):
        find_model("uara.far")
    assert hashed == [path]
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="damaged or another one"):
        find_model("uara.far")


def test_damaged_pre_placed_file(remote, tmp_path):
    remote([])
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "uara.far.safetensors").write_bytes(b"short")
    with pytest.raises(WeightsError, match="damaged or another one"):
        find_model("uara.far")


def test_a_predictor_of_arrays_that_chooses_is_named():
    with pytest.raises(ModelError, match=r"sedflux\.predict\.chooser\.Chooser\(\) in the place"):
        Predictor("auto")


def test_unknown_model_names_the_known_ones():
    with pytest.raises(ModelError, match=DEFAULT_MODEL):
        find_model("uara.none")


def test_missing_and_damaged_files(tmp_path):
    with pytest.raises(WeightsError, match="does not exist"):
        Predictor(tmp_path / "no.safetensors")
    bad = tmp_path / "bad.safetensors"
    bad.write_bytes(b"\0" * 100)
    with pytest.raises(WeightsError, match="damaged or no safetensors"):
        Predictor(bad)
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(find_model().read_bytes()[:-1000])
    with pytest.raises(WeightsError, match="damaged"):
        Predictor(cut)


def test_foreign_safetensors(tmp_path):
    import torch
    from safetensors.torch import save_file

    path = tmp_path / "foreign.safetensors"
    save_file({"x": torch.zeros(2)}, path)
    with pytest.raises(WeightsError, match="no sedflux model"):
        Predictor(path)


def test_unreadable_registry(monkeypatch, tmp_path):
    path = tmp_path / "registry.json"
    path.write_text("{")
    monkeypatch.setenv("SEDFLUX_REGISTRY", str(path))
    with pytest.raises(WeightsError, match=r"registry .* cannot be read"):
        list_models()


GOOD = {"sha256": "0" * 64, "packaged": False, "description": "for tests"}


@pytest.mark.parametrize("content", [
    [], {}, {"models": [], "base_urls": []}, {"models": {}}, {"models": {}, "base_urls": "http://x"},
    {"models": {}, "base_urls": [1]}, {"models": {"uara.x": 1}, "base_urls": []},
    *({"models": {"uara.x": GOOD | change}, "base_urls": []} for change in (
        {"sha256": None}, {"sha256": "12"}, {"sha256": "G" * 64}, {"packaged": "yes"},
        {"packaged": 1}, {"description": 3}, {"more": 1})),
    {"models": {"uara.x": {"packaged": False, "description": ""}}, "base_urls": []},
    {"models": {"../uara.x": GOOD}, "base_urls": []}, {"models": {"uara": GOOD}, "base_urls": []},
])
def test_registry_that_is_none(content, monkeypatch, tmp_path):
    path = tmp_path / "registry.json"
    path.write_text(json.dumps(content))
    monkeypatch.setenv("SEDFLUX_REGISTRY", str(path))
    with pytest.raises(WeightsError, match=r"cannot be read: .* unset SEDFLUX_REGISTRY"):
        list_models()


@pytest.mark.parametrize("model", [5, 1.5, [], object()])
def test_models_are_names_or_paths(model):
    with pytest.raises(ModelError, match="give a name"):
        find_model(model)


def test_folders_are_no_models(tmp_path):
    with pytest.raises(WeightsError, match="no regular file"):
        find_model(tmp_path)


def test_paths_from_the_home_folder(monkeypatch, tmp_path):
    (tmp_path / "m.safetensors").write_bytes(b"")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert find_model("~/m.safetensors") == tmp_path / "m.safetensors"
