"""The verbs of the command line, one function each. `cli.py` lists them."""
