"""A dataset card for a stage's folder, so that the `datasets` library loads its documents.

Without a card, `load_dataset("OUT/filter")` takes every Parquet file that it finds. The files in
`excluded/` have other columns than those in `documents/`. The card's `configs:` tell the two apart
(https://huggingface.co/docs/hub/datasets-manual-configuration).
"""

from corpusmill.manifests import storage
from corpusmill.manifests.manifest import Manifest

CARD = "README.md"
_TEXT = """---
configs:
{configs}---

Written by corpusmill: {stages}. `manifest.json` says from what and how.
"""


_MARK = "Written by corpusmill: "


def write_card(manifest: Manifest) -> None:
    """Write the card of a finished stage, if it writes documents, even if it kept none."""
    folders = {"default": "documents", "excluded": "excluded"}
    configs = "".join(
        f'- config_name: {name}\n  data_files: "{folder}/**/*.parquet"\n'
        for name, folder in folders.items()
        if any(output.rows for output in manifest.documents(folder))
        or (folder == "documents" and manifest.documents(folder))
    )
    if "documents" in configs:
        path = storage.join(manifest.folder, CARD)
        if storage.exists(path) and _MARK.encode() not in storage.read_bytes(path):
            return  # the user's own
        text = _TEXT.format(configs=configs, stages=", ".join(manifest.stages))
        storage.write_bytes(path, text.encode())
