"""Remove documents that mean nearly the same as another. `stage.py` lists the passes."""
