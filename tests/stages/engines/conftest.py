import pytest

from tests.stages.engines import tiny_model


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory):
    return tiny_model.save_model(tmp_path_factory.mktemp("models") / "tiny-random")
