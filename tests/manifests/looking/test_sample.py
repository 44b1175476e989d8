"""`sample` draws by a seed, filters in SQL, and says what is wrong with a condition."""

import json

import pytest
from corpusmill.manifests.errors import CorpusmillError, InputError
from corpusmill.manifests.looking.sample import sample

from tests.command_line import corpusmill
from tests.report.small_run import make_run
from tests.stages.small_corpus import documents, run, write_shard


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("sample"))


def ids(rows):
    return [row["id"] for row in rows]


def test_a_condition_chooses_among_the_kept(output):
    found = sample(f"{output}/filter", "stat_words > 50 and url like '%site0%'")
    assert {row["stat_words"] for row in found} == {54.0}
    assert all(row["shard"] == "documents/in.parquet" for row in found)


def test_the_dropped_have_their_reasons(output):
    found = sample(f"{output}/filter", "stat_words < 15", parts=("excluded",))
    assert len(found) == 2
    assert {row["reason"] for row in found} == {"recipe.few_words"}
    both = sample(f"{output}/filter", parts=("documents", "excluded"))
    assert len(both) == 10
    assert sum(row["reason"] is None for row in both) == 7


def test_the_seed_decides_the_draw_and_a_smaller_one_is_its_beginning(output):
    whole = ids(sample(f"{output}/extract", count=10))
    assert ids(sample(f"{output}/extract", count=4)) == whole[:4]
    assert ids(sample(f"{output}/extract", count=10, seed=1)) != whole
    assert sorted(ids(sample(f"{output}/extract", count=10, seed=1))) == sorted(whole)


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("stat_wrds > 3", r"\"stat_wrds\" not found.*the columns are id, .*stat_words"),
        ("stat_words >", "syntax error.*write it as in SQL"),
        ("stat_words > 'many'", "Could not convert string 'many'"),
        ("1=1); select (1=1", "cannot be used"),
    ],
)
def test_a_condition_that_cannot_be_used_is_explained(output, where, said):
    with pytest.raises(CorpusmillError, match=said):
        sample(f"{output}/filter", where)


def test_names_that_are_globs_are_read_once(tmp_path):
    """`sample` and `diff` read shards with DuckDB, which takes every path for a glob."""
    for name in ("*", "x[1]", "x1", "q?", "qq"):
        write_shard(tmp_path / f"in [1]/{name}.parquet", documents(name, 2))
    folder = tmp_path / "out [1] *"
    run("filter", {"families": []}, folder, str(tmp_path / "in [1]"))
    rows = sample(str(folder), count=100)
    assert sorted((row["id"][:-6], row["shard"]) for row in rows) == sorted(
        (name, f"documents/{name}.parquet") for name in ("*", "x[1]", "x1", "q?", "qq") * 2
    )


def test_what_is_no_stage_or_no_column_is_refused(output, tmp_path):
    with pytest.raises(InputError, match=r"holds a run, not a stage; choose a stage: .*dedup"):
        sample(output)
    with pytest.raises(InputError, match="holds no rows in excluded"):
        sample(f"{output}/extract", parts=("excluded",))
    with pytest.raises(CorpusmillError, match="there is no column 'txt'"):
        sample(f"{output}/extract", columns=("txt",))


def test_the_command_prints_texts_and_json_lines(output, tmp_path):
    shown = corpusmill("sample", f"{output}/dedup", "-n", "1", cwd=tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert "some words about the river" in shown.stdout
    lines = corpusmill(
        "sample", f"{output}/dedup", "--json", "--column", "id", "-n", "3", cwd=tmp_path
    )
    assert [list(json.loads(line)) for line in lines.stdout.splitlines()] == [["id"]] * 3
    none = corpusmill("sample", f"{output}/dedup", "--where", "false", cwd=tmp_path)
    assert none.stdout == "no document matches\n"
