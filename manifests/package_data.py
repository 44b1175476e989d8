"""Data that ships with corpusmill: models, prompts, recipes and samples."""

from pathlib import Path

DATA_FOLDERS = ("models", "prompts", "recipes", "samples")
PACKAGE = Path(__file__).parent.parent


def package_file(*parts: str) -> Path:
    """The path of a shipped file or folder, e.g. `package_file("models", "tiny")`."""
    return PACKAGE.joinpath(*parts)


def package_name(path: str) -> str:
    """A path in the shipped folders as `package:samples/...`. Any other text stays as it is."""
    inside = path.removeprefix(f"{PACKAGE}/")
    if inside == path or inside.partition("/")[0] not in DATA_FOLDERS:
        return path
    return f"package:{inside}"
