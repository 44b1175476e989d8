"""What each packing makes of a corpus: `sequences.json`, which a run writes beside its log."""

import json

from corpusmill.trainer.config import Packing
from corpusmill.trainer.token_shards import Catalogue

FILE = "sequences.json"


def describe(corpus: Catalogue, pack: Packing) -> str:
    """JSON: documents and tokens of one epoch of training, and, for each packing, sequences, the
    share of their targets that is padding, and the share of the documents that is cut.

    pack: the packing in use. What `concat` cuts is an expectation: places in rows follow from the
    order of the documents. Raises ValueError if the catalogue was read without `fitted`.
    """
    groups, length = corpus.training, corpus.sequence_length
    documents = sum(group.documents for group in groups)
    tokens = sum(group.tokens for group in groups)
    # A document's pieces overlap by one token.
    filled = tokens + sum(group.padded_rows - group.documents for group in groups)
    longer = sum(group.longer for group in groups)
    concat_cuts = sum(group.concat_cuts for group in groups)
    rows = {
        "concat": -(-tokens // length),
        "pad": sum(group.padded_rows for group in groups),
        "best_fit": sum(group.size("best_fit") for group in groups),
    }
    described = {
        "pack": pack,
        "sequence_length": length,
        "documents": documents,
        "tokens": tokens,
        "packings": {
            name: {
                "sequences": count,
                "padding": 0.0
                if name == "concat"
                else round((count * (length + 1) - filled) / (count * length), 6),
                "documents_cut": round(
                    (concat_cuts if name == "concat" else longer) / documents, 6
                ),
            }
            for name, count in rows.items()
        },
    }
    return json.dumps(described, indent=1) + "\n"
