"""The example notebook runs, cell by cell, as a user would run it."""

import ast
import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
NOTEBOOK = ROOT / "docs" / "notebook.ipynb"
# Runs the cells in one namespace, and prints the value of a last expression, as Jupyter does.
PROGRAM = """
import ast, json, sys
names = {"__name__": "__main__"}
for source in json.loads(sys.stdin.read()):
    tree = ast.parse(source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "<cell>", "exec"), names)
    if last is not None:
        print(eval(compile(ast.Expression(last.value), "<cell>", "eval"), names))
"""


def cells():
    found = json.loads(NOTEBOOK.read_text())["cells"]
    return ["".join(cell["source"]) for cell in found if cell["cell_type"] == "code"]


def test_the_notebook_runs_from_the_first_cell_to_the_last(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        input=json.dumps(cells()),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    said = done.stdout
    assert "extract, filter, dedup>" in said
    assert "['id', 'url', 'stat_words']" in said
    assert "gopher_quality.few_words" in said
    assert "few_questions.mst; did you mean 'most'?" in said
    assert "('kept', 'few_questions.many'" in said
    assert "/out/report.html" in said


def test_the_notebook_holds_no_output_and_no_long_line():
    whole = json.loads(NOTEBOOK.read_text())
    assert all(not cell.get("outputs") for cell in whole["cells"])
    lines = [line for cell in whole["cells"] for line in "".join(cell["source"]).splitlines()]
    assert not [line for line in lines if len(line) > 100]
    for source in cells():
        ast.parse(source)
