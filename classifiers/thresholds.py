"""The edges of an ensemble as a file: written for one corpus, used again for the next.

    {"weighted_by": "text_bytes",
     "scorers": {"words": {"model": DIGEST, "documents": N, "text_bytes": N, "edges": [...]}}}

Each of the 19 edges is the lowest score of its bucket. It is null if no document reached the
bucket.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from corpusmill.classifiers.buckets import BUCKETS
from corpusmill.manifests import storage
from corpusmill.manifests.errors import InputError, ModelError

FILE_NAME = "thresholds.json"


@dataclass(frozen=True)
class Thresholds:
    """model: what the scorer depends on (digests). edges: 19 ascending scores or None. documents,
    text_bytes: size of the corpus that they were cut from.
    """

    model: str
    edges: tuple[float | None, ...]
    documents: int
    text_bytes: int


def to_bytes(thresholds: Mapping[str, Thresholds]) -> bytes:
    record = {
        "weighted_by": "text_bytes",
        "scorers": {name: asdict(item) for name, item in thresholds.items()},
    }
    return (json.dumps(record, indent=1, sort_keys=True) + "\n").encode()


def read_thresholds(path: str) -> dict[str, Thresholds]:
    """Scorer name -> its edges. Raises ModelError if the file is missing or is something else."""
    try:
        record = json.loads(storage.read_bytes(path))
        found = {
            name: Thresholds(
                str(item["model"]),
                tuple(None if edge is None else float(edge) for edge in item["edges"]),
                int(item["documents"]),
                int(item["text_bytes"]),
            )
            for name, item in record["scorers"].items()
        }
    except InputError as error:
        raise ModelError(f"the thresholds {path} cannot be read", error.mend) from error
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise ModelError(f"{path} holds no thresholds", _MEND) from error
    for name, item in found.items():
        reached = [edge for edge in item.edges if edge is not None]
        if (
            len(item.edges) != BUCKETS - 1
            or not all(map(math.isfinite, reached))
            or reached != sorted(reached)
            or any(edge is not None for edge in item.edges[len(reached) :])
        ):
            raise ModelError(
                f"the thresholds of {name} in {path} are not {BUCKETS - 1} ascending scores", _MEND
            )
    return found


_MEND = f"name the work/thresholds/{FILE_NAME} of an earlier classify"
