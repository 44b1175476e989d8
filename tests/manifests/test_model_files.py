"""Models are found by folder, URL, package reference or hub name. Their bytes identify them."""

import hashlib
import os
from pathlib import Path

import pytest
from corpusmill.manifests import finding, model_files, storage
from corpusmill.manifests.errors import ModelError

KIND = model_files.Kind("encoder", ("*.json", "*.safetensors"), "name a folder with config.json")


@pytest.fixture
def store():
    """A model on an object store, with a file that no loader needs and one in a folder below."""
    url = "memory://models/small"
    for name in ("config.json", "weights.safetensors", "README.md", "onnx/config.json"):
        storage.write_bytes(storage.join(url, name), name.encode())
    yield url
    for path in finding.files_below(url):
        storage.remove(path)


def test_a_local_folder_is_itself(tmp_path):
    assert model_files.folder(str(tmp_path), KIND) == str(tmp_path)
    assert model_files.folder(f"file://{tmp_path}", KIND) == str(tmp_path)


def test_a_model_on_a_store_is_copied_once_without_what_its_kind_does_not_name(store):
    folder = model_files.folder(store, KIND)
    assert sorted(os.listdir(folder)) == ["config.json", "weights.safetensors"]
    assert model_files.folder(store, KIND) == folder
    assert model_files.short_name(store) == "small"


def test_a_package_reference_is_a_folder_of_the_package():
    folder = model_files.folder("package:models/tiny", KIND)
    assert os.path.isfile(os.path.join(folder, "config.json"))
    assert model_files.short_name("package:models/tiny") == "tiny"


@pytest.mark.parametrize("name", ["./none", "/no/such/folder", "a/b/c", "memory://none"])
def test_what_can_be_no_hub_name_is_refused_with_the_kinds_mend(name):
    with pytest.raises(ModelError, match=r"there is no encoder folder .*; name a folder with"):
        model_files.folder(name, KIND)


def test_a_name_that_the_hub_does_not_give_is_refused(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match=r"the hub does not give it .*log in to the hub"):
        model_files.folder("nobody/nothing-at-all", KIND)


def test_a_digest_is_over_names_and_bytes_and_sees_a_change(tmp_path):
    (tmp_path / "a").write_bytes(b"1")
    (tmp_path / "b").write_bytes(b"2")
    before = model_files.folder_digest(str(tmp_path), ["a", "b"])
    lines = "".join(
        f"{name} {hashlib.sha256(data).hexdigest()}\n" for name, data in (("a", b"1"), ("b", b"2"))
    )
    assert before == hashlib.sha256(lines.encode()).hexdigest()
    (tmp_path / "b").write_bytes(b"3 now")
    assert model_files.folder_digest(str(tmp_path), ["a", "b"]) != before


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ModelError, match=r"model file .*/none does not exist"):
        model_files.digest(str(tmp_path / "none"))
    with pytest.raises(ModelError, match=r"model file memory://none/model\.bin does not exist"):
        model_files.digest("memory://none/model.bin")


def test_a_remote_file_is_copied_for_the_block(store):
    with model_files.local_copy(f"{store}/config.json") as path:
        assert Path(path).read_bytes() == b"config.json"
    assert not os.path.exists(path)
