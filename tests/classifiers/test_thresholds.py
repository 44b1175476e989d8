"""The thresholds file: what is written is read again exactly. Any other file is refused."""

import json

import numpy as np
import pytest
from corpusmill.classifiers.thresholds import Thresholds, read_thresholds, to_bytes
from corpusmill.manifests.errors import ModelError


def write(path, data):
    path.write_bytes(data if isinstance(data, bytes) else json.dumps(data).encode())
    return str(path)


def test_what_is_written_is_read_again_to_the_last_bit(tmp_path):
    edges = (*(float(np.float32(1 / number)) for number in range(20, 2, -1)), None)
    thresholds = {"words": Thresholds("digest", edges, 12, 3456)}
    assert read_thresholds(write(tmp_path / "thresholds.json", to_bytes(thresholds))) == thresholds


@pytest.mark.parametrize(
    "wrong",
    [
        b"no JSON",
        [],
        {"scorers": {"words": {"edges": [1.0]}}},
        {"scorers": {"words": {"model": "m", "edges": [1.0], "documents": 1, "text_bytes": 1}}},
        {
            "scorers": {
                "words": {
                    "model": "m",
                    "edges": [2.0, 1.0] + [3.0] * 17,
                    "documents": 1,
                    "text_bytes": 1,
                }
            }
        },
        {
            "scorers": {
                "words": {
                    "model": "m",
                    "edges": [1.0, float("nan")] + [3.0] * 17,
                    "documents": 1,
                    "text_bytes": 1,
                }
            }
        },
        {
            "scorers": {
                "words": {
                    "model": "m",
                    "edges": [None] + [3.0] * 18,
                    "documents": 1,
                    "text_bytes": 1,
                }
            }
        },
        *(
            {
                "scorers": {
                    "words": {
                        "model": "m",
                        "edges": [*range(18), highest],
                        "documents": documents,
                        "text_bytes": 1,
                    }
                }
            }
            for highest, documents in ((10**400, 1), (18, float("inf")))
        ),
    ],
)
def test_another_file_is_refused_with_the_mend(tmp_path, wrong):
    with pytest.raises(
        ModelError, match=r"work/thresholds/thresholds\.json of an earlier classify"
    ):
        read_thresholds(write(tmp_path / "thresholds.json", wrong))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ModelError, match=r"nowhere\.json"):
        read_thresholds(str(tmp_path / "nowhere.json"))
