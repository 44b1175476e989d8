"""Remove exact and near duplicates. `stage.py` lists the passes, and each file does one or two."""
