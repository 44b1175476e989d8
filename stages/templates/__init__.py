"""Remove what the pages of one site repeat. `stage.py` lists the passes."""
