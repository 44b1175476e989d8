"""Options of a runner that do not go together are refused before anything starts."""

import pytest
from corpusmill.manifests.errors import RecipeError
from corpusmill.pipeline.placement import Placement, open_runner


@pytest.mark.parametrize(
    ("placement", "says"),
    [
        (Placement(address="auto", workers=2), "--workers is for Ray on this machine"),
        (Placement(gpus=8), "--ray-gpus is for a Ray cluster.*give --ray-address"),
    ],
)
def test_options_that_contradict_each_other_are_refused(tmp_path, placement, says):
    with pytest.raises(RecipeError, match=says), open_runner(str(tmp_path), placement):
        pass
