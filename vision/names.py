"""Names of weights: ours, and those of an export on disk."""

# Beginnings of names: ours, and on disk.
STORED = {"backbone.": "language_model.model.", "lm_head.": "language_model.lm_head."}


def name_on_disk(name: str) -> str:
    """The name of a weight in an export."""
    for ours, stored in STORED.items():
        if name.startswith(ours):
            return stored + name.removeprefix(ours)
    return name


def name_here(stored: str) -> str:
    """The name that the model here has for a weight of an export."""
    for ours, theirs in STORED.items():
        if stored.startswith(theirs):
            return ours + stored.removeprefix(theirs)
    return stored
