"""The filter stage: every document measured, each drop with its reason, nothing lost."""

import pyarrow as pa
import pytest
from corpusmill.manifests.errors import RecipeError
from corpusmill.manifests.schema import DOCUMENT, conform
from corpusmill.manifests.storage import artifact_of
from corpusmill.pipeline.recipe import Step, build_stage
from corpusmill.stages.columns.cuts import restore
from corpusmill.stages.contract import MapStage
from corpusmill.stages.filter.families import DEFAULT, FAMILIES
from corpusmill.stages.filter.line_edits import LineEdits
from corpusmill.stages.filter.measuring import measure
from corpusmill.stages.filter.presets import NAMED
from corpusmill.stages.filter.record import replaced
from corpusmill.stages.filter.rules import Rule
from corpusmill.stages.filter.stage import Filter
from corpusmill.stages.filter.url_rules import UrlRules

SENTENCES = (
    "The river rises in the hills to the north of the town and runs to the sea.",
    "People have lived beside it for as long as anyone can say, and most of them still do.",
    "In spring the water is high, so the lower road is closed with a wooden gate.",
    "A ferry takes carts across when the bridge is not to be trusted.",
    "Older maps show a mill that nobody alive remembers.",
    "Its wheel is kept in the school, where children learn how flour was made.",
)
GOOD = "\n".join(SENTENCES)


def documents(*texts, **columns):
    rows = {"id": [f"id{number}" for number in range(len(texts))], "text": list(texts), **columns}
    return conform(pa.table(rows), DOCUMENT)


def reason_of(text, **settings):
    out = Filter(**settings).apply(documents(text)).excluded
    return out["reason"].to_pylist()[0] if out.num_rows else None


def test_it_is_a_map_stage_over_documents():
    assert isinstance(Filter(), MapStage)
    assert Filter.reads == "documents"


def test_good_prose_is_kept_unchanged():
    outcome = Filter().apply(documents(GOOD))
    assert outcome.kept["text"].to_pylist() == [GOOD]
    assert outcome.excluded.num_rows == 0


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("\n".join(SENTENCES[:2]), "gopher_quality.few_words"),
        ("Too short to be of use to anyone.", "gopher_repetition.top_2_gram"),
        (None, "gopher_quality.few_words"),
        ("", "gopher_quality.few_words"),
        (GOOD + "\n\n" + GOOD, "gopher_repetition.duplicate_paragraphs"),
        ("\n".join(["The same line comes again and again."] * 20),
         "gopher_repetition.duplicate_lines"),
        (GOOD.replace("the", "der").replace(" to ", " zu ").replace(" of ", " von ")
         .replace(" with ", " mit ").replace("have", "haben").replace("and", "und")
         .replace(" be ", " sein ").replace("The", "Der").replace("that", "dass"),
         "gopher_quality.few_stop_words"),
        ("\n".join([GOOD, *(f"{number * 7919} {number * 104729} {number * 1299709}"
                            for number in range(50))]),
         "gopher_quality.few_alphabetic_words"),
        (GOOD + "\nif (river) { flows } and that is all.", "c4.curly_bracket"),
        (GOOD + "\nLorem ipsum dolor sit amet is no river.", "c4.lorem_ipsum"),
        (" ".join(SENTENCES).replace(".", ",").replace("  ", " "), "c4.few_sentences"),
        (GOOD.replace(".", ""), "fineweb.few_punctuated_lines"),
        (GOOD + "\n" + SENTENCES[3], "fineweb.duplicate_line_characters"),
    ],
)  # fmt: skip
def test_a_drop_carries_the_code_of_its_rule(text, reason):
    assert reason_of(text, preset="fineweb") == reason


def test_every_row_ends_in_exactly_one_table():
    outcome = Filter().apply(documents(GOOD, "short", GOOD, None, ""))
    assert outcome.kept["id"].to_pylist() == ["id0", "id2"]
    assert outcome.excluded["id"].to_pylist() == ["id1", "id3", "id4"]


def test_an_empty_batch_gives_two_empty_tables_with_all_columns():
    outcome = Filter().apply(documents())
    assert (outcome.kept.num_rows, outcome.excluded.num_rows) == (0, 0)
    assert [field.name for field in Filter().adds()] == outcome.kept.column_names[len(DOCUMENT) :]


def test_statistics_stay_with_kept_and_excluded_rows_in_their_declared_types():
    outcome = Filter().apply(documents(GOOD, "short"))
    for field in Filter().adds():
        assert outcome.kept.schema.field(field.name).type == field.type
        assert outcome.excluded.schema.field(field.name).type == field.type
    assert (
        outcome.kept["stat_words"].to_pylist()
        == measure(pa.chunked_array([[GOOD]])).measured["words"].tolist()
    )
    assert outcome.excluded["stat_kept_lines"].to_pylist() == [0]  # the edits took its only line


def test_the_detail_shows_what_was_measured():
    out = Filter(families=("gopher_quality",)).apply(documents("Only five words of text")).excluded
    assert out["detail"].to_pylist() == ["words=5 < 50"]
    assert out["stage"].to_pylist() == ["filter"]


def test_the_first_rule_names_the_reason_and_all_failing_rules_are_listed():
    outcome = Filter(families=("fineweb", "gopher_quality")).apply(documents("one two", GOOD))
    assert outcome.excluded["reason"].to_pylist() == ["fineweb.few_punctuated_lines"]
    assert outcome.excluded["failed_rules"].to_pylist() == [
        [
            "fineweb.few_punctuated_lines",
            "fineweb.short_lines",
            "gopher_quality.few_words",
            "gopher_quality.few_stop_words",
        ]
    ]
    assert outcome.kept["failed_rules"].to_pylist() == [None]


def test_line_edits_change_kept_text_and_leave_excluded_text_as_it_came():
    furnished, hopeless = f"Home\n\n{GOOD}\nWe use cookies.", "Home\nMenu"
    outcome = Filter().apply(documents(furnished, hopeless))
    assert outcome.kept["text"].to_pylist() == [GOOD]
    assert outcome.kept["stat_removed_lines"].to_pylist() == [2]
    assert outcome.excluded["text"].to_pylist() == [hopeless]
    assert outcome.excluded["stat_removed_lines"].to_pylist() == [2]


def test_gophers_statistics_describe_the_text_as_it_came_and_finewebs_what_the_edits_left():
    kept = Filter().apply(documents(f"Home\n{GOOD}")).kept
    assert kept["stat_lines"].to_pylist() == [len(SENTENCES) + 1]
    assert kept["stat_kept_lines"].to_pylist() == [len(SENTENCES)]
    assert kept["stat_punctuation_line_ratio"].to_pylist() == [1]


def test_a_document_of_a_tuned_language_is_judged_by_its_thresholds_and_not_edited():
    german = "\n".join(
        [
            "Der Fluss entspringt in den Hügeln nördlich der Stadt und fließt von dort zum Meer.",
            "Die Leute wohnen an seinem Ufer, seit man denken kann, und viele leben noch immer "
            "dort.",
            "Im Frühjahr steht das Wasser hoch, und die untere Straße wird mit einem Holztor "
            "geschlossen.",
            "Eine Fähre bringt die Wagen hinüber, wenn der Brücke nicht zu trauen ist.",
            "Auf alten Karten steht eine Mühle, an die sich niemand mehr erinnert.",
            "Menü",
        ]
    )
    tuned = Filter().apply(documents(german, language=["de"]))
    assert tuned.kept["text"].to_pylist() == [german]
    assert Filter(published_languages=False).apply(documents(german, language=["de"])).excluded[
        "reason"
    ].to_pylist() == ["gopher_quality.few_stop_words"]
    strict = Filter(language_thresholds={"de": {"gopher_quality": {"few_words": 1000}}})
    out = strict.apply(documents(german, GOOD, language=["de", "en"]))
    assert out.excluded["detail"].to_pylist() == [
        f"words={tuned.kept['stat_words'][0].as_py()} < 1000"
    ]
    assert out.kept["id"].to_pylist() == ["id1"]


def test_a_page_without_spaces_between_words_is_judged_by_its_characters():
    page = "\n".join(
        f"这是第{number}条河流的故事，人们在这里已经住了{number * 3}年了。" for number in range(12)
    )
    assert Filter().apply(documents(page, language=["zh"])).kept.num_rows == 1
    assert Filter().apply(documents(page, language=[None])).excluded.num_rows == 1


@pytest.mark.parametrize(
    ("family", "text", "reason"),
    [
        ("refinedweb", "Menu\nHome\n" + SENTENCES[3], "refinedweb.many_removed_words"),
        (
            "nemotron",
            GOOD + "\n" + " ".join(str(number * 7919) for number in range(60)),
            "nemotron.digits",
        ),
        ("nemotron", GOOD + "\nhttps://a.example/" + "x" * 300, "nemotron.urls"),
        (
            "nemotron",
            "\n".join([*SENTENCES, *["We have a privacy policy here."] * 9]),
            "nemotron.boilerplate",
        ),
    ],
)
def test_further_families_are_chosen_by_name(family, text, reason):
    assert reason_of(text) != reason
    assert (
        reason
        in Filter(families=(family,)).apply(documents(text)).excluded["failed_rules"].to_pylist()[0]
    )


def test_without_the_c4_family_no_text_is_edited():
    text = f"Home\n{GOOD}"
    kept = Filter(families=("gopher_quality",)).apply(documents(text)).kept
    assert kept["text"].to_pylist() == [text]


def test_filtering_excluded_rows_again_gives_what_filtering_them_first_would_have_given():
    table = documents(GOOD, f"Home\n{SENTENCES[0]}\n{SENTENCES[1]}", "Menu")
    lenient = Filter(
        thresholds={"gopher_quality": {"few_words": 20}, "corpusmill": {"few_prose_parts": 20}}
    )
    first = lenient.apply(table)
    again = lenient.apply(
        Filter().apply(table).excluded.drop_columns(["stage", "reason", "detail"])
    )
    assert again.kept.num_rows == 1
    assert again.kept.to_pylist() == first.kept.slice(1).to_pylist()


def test_thresholds_rules_switched_off_and_own_rules_change_the_verdict():
    short = "\n".join(SENTENCES[:2])
    assert reason_of(short) == "gopher_quality.few_words"
    relaxed = {
        "thresholds": {"gopher_quality": {"few_words": 10}},
        "off": ("corpusmill.few_prose_parts",),
    }
    assert reason_of(short, **relaxed) is None
    own = Rule(name="long_words", statistic="longest_part", comparison=">", threshold=8)
    assert (
        reason_of(short.replace("river", "waterways"), rules=(own,), **relaxed)
        == "recipe.long_words"
    )


def test_a_rule_may_look_at_the_lines_that_were_removed():
    own = Rule(name="much_furniture", statistic="removed_lines", comparison=">", threshold=1)
    assert reason_of(f"Home\n{GOOD}", rules=(own,)) is None
    assert reason_of(f"Home\nMenu\n{GOOD}", rules=(own,)) == "recipe.much_furniture"


def test_url_rules_come_before_all_others_and_spare_rows_without_a_url(tmp_path):
    (tmp_path / "domains").write_text("bad.example\n")
    stage = Filter(urls=UrlRules(domains=(str(tmp_path / "domains"),)))
    table = documents(
        GOOD, GOOD, "short", url=["https://www.bad.example/", None, "http://bad.example/x"]
    )
    outcome = stage.apply(table)
    assert outcome.kept["id"].to_pylist() == ["id1"]
    assert outcome.excluded["reason"].to_pylist() == ["url.blocked_domain"] * 2
    assert outcome.excluded["stat_words"].to_pylist()[0] > 50


def test_datatrove_blocks_judge_what_the_rules_left():
    block = {"class": "datatrove.pipeline.filters:RegexFilter", "arguments": {"regex_exp": "ferry"}}
    outcome = Filter(blocks=(block,)).apply(
        documents(GOOD, GOOD.replace("ferry", "barge"), "a ferry")
    )
    assert outcome.kept["id"].to_pylist() == ["id1"]
    assert outcome.excluded["reason"].to_pylist() == [
        "datatrove.RegexFilter.dropped",
        "gopher_repetition.top_2_gram",
    ]


def test_statistics_follow_when_a_datatrove_block_edits_the_text():
    block = {"class": "datatrove.pipeline.filters:C4QualityFilter", "arguments": {}}
    kept = Filter(families=(), blocks=(block,)).apply(documents(f"{GOOD}\nno stop at the end")).kept
    assert kept["text"].to_pylist() == [GOOD]
    assert kept["stat_lines"].to_pylist() == [len(SENTENCES)]


def test_filtering_twice_keeps_one_set_of_columns():
    once = Filter().apply(documents(f"Home\n{GOOD}")).kept
    twice = Filter().apply(once).kept
    assert twice.column_names == once.column_names
    assert twice["stat_removed_lines"].to_pylist() == [0]


def test_the_outcome_does_not_depend_on_how_rows_are_batched():
    texts = [GOOD, "short", f"Menu\n{GOOD}", None, "日本語の文です。" * 30, GOOD.upper()]
    whole = Filter().apply(documents(*texts))
    parts = [Filter().apply(documents(*texts).slice(row, 1)) for row in range(len(texts))]
    assert pa.concat_tables([part.kept for part in parts]).to_pylist() == whole.kept.to_pylist()
    assert (
        pa.concat_tables([part.excluded for part in parts]).to_pylist()
        == whole.excluded.to_pylist()
    )


def test_a_recipe_reaches_every_setting():
    settings = {
        "families": ["gopher_quality"],
        "thresholds": {"gopher_quality": {"few_words": 20}},
        "off": ["gopher_quality.hash_signs"],
        "rules": [
            {"name": "digits", "statistic": "digit_ratio", "comparison": ">", "threshold": 0.3}
        ],
        "lines": {"minimum_words": 2},
        "stop_words": ["der", "die"],
        "blocks": [
            {"class": "datatrove.pipeline.filters:RegexFilter", "arguments": {"regex_exp": "x"}}
        ],
    }
    stage = build_stage(Step("filter", "filter", (), settings), str)
    assert stage.lines == LineEdits(minimum_words=2)
    assert [rule.code for rule in stage.in_force()][-1] == "recipe.digits"
    assert len(stage.in_force()) == 10


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"rules": [{"name": "a", "statistic": "digits", "comparison": ">", "threshold": 1}]},
            "digit_ratio",
        ),
        (
            {
                "rules": [
                    {"name": "a", "statistic": "digit_ratio", "comparison": "=>", "threshold": 1}
                ]
            },
            "comparison",
        ),
        ({"families": ["fine_web"]}, "did you mean 'fineweb'"),
        ({"thresholds": {"c4": {"sentences": 1}}}, "c4.few_sentences"),
        ({"stop_words": ["der die"]}, "der die"),
        ({"language_thresholds": {"de": {"c4": {"lorem_ipsu": 1}}}}, "c4.lorem_ipsum"),
        ({"blocks": [{"klass": "x"}]}, "did you mean 'class'"),
        ({"lines": {"minimum_word": 3}}, "minimum_word"),
    ],
)
def test_a_mistake_in_the_recipe_is_found_when_the_stage_is_built(settings, message):
    with pytest.raises(RecipeError, match=message):
        build_stage(Step("filter", "filter", (), settings), str)


@pytest.mark.parametrize(
    "stage",
    [
        Filter(blocks=({"class": "datatrove.pipeline.filters:NoSuchFilter"},)),
        Filter(
            blocks=(
                {"class": "datatrove.pipeline.filters:RegexFilter", "arguments": {"regexp": "x"}},
            )
        ),
        Filter(urls=UrlRules(words=("/nowhere/words.txt",))),
    ],
)
def test_a_missing_list_or_unfit_block_is_found_before_any_shard(stage):
    with pytest.raises(RecipeError):
        stage.depends_on()


def test_what_the_stage_depends_on_changes_with_its_lists(tmp_path):
    path = tmp_path / "words.txt"
    path.write_text("casino\n")
    before = Filter(urls=UrlRules(words=(str(path),))).depends_on()
    path.write_text("poker\n")
    after = Filter(urls=UrlRules(words=(str(path),))).depends_on()
    assert before != after
    assert artifact_of(str(path)).digest in after


# --- the record of the edits


FURNISHED = (
    f"Home\n\n## News\n\n{GOOD}\n\n- one[1]\n\n"
    "A fact[12] stands here, with a river.\nWe use cookies."
)


def undone(rows):
    return [restore(row["text"], row["filter_cuts"]) for row in rows.to_pylist()]


def test_the_edits_of_a_kept_text_are_recorded_and_can_be_undone():
    kept = Filter().apply(documents(FURNISHED, GOOD, f"Menü\n{GOOD}")).kept
    assert kept["text"].to_pylist()[0] == FURNISHED[6:-16].replace("[12]", "")
    assert undone(kept) == [FURNISHED, GOOD, f"Menü\n{GOOD}"]
    assert kept["filter_removed_bytes"].to_pylist() == [26, 0, 6]
    assert [bool(pieces) for pieces in kept["filter_cuts"].to_pylist()] == [True, False, True]


def test_an_excluded_row_has_its_text_and_no_cuts():
    out = Filter().apply(documents("Home\nMenu")).excluded
    assert out["text"].to_pylist() == ["Home\nMenu"]
    assert out["filter_cuts"].to_pylist() == [None]


def test_the_number_of_tokens_is_unknown_where_text_was_cut():
    kept = Filter().apply(documents(FURNISHED, GOOD, n_tokens=[7, 8])).kept
    assert kept["n_tokens"].to_pylist() == [None, 8]


def test_edits_of_two_runs_and_of_a_datatrove_filter_are_undone_in_turn():
    first = Filter(lines=LineEdits(policy=False)).apply(documents(FURNISHED, GOOD)).kept
    block = {"class": "datatrove.pipeline.filters:C4QualityFilter", "arguments": {}}
    second = Filter(blocks=(block,)).apply(first).kept
    assert second["text"].to_pylist()[0] != first["text"].to_pylist()[0]
    assert [piece["step"] for piece in second["filter_cuts"].to_pylist()[0]] == [0, 0, 1, 2]
    assert undone(second) == [FURNISHED, GOOD]


@pytest.mark.parametrize(
    ("before", "after"),
    [("abc", "abc"), ("abc", ""), ("", "abc"), ("aé中", "aè中"), ("aaa", "aa"), ("xé", "yè")],
)
def test_any_edit_of_a_text_can_be_undone(before, after):
    assert restore(after, replaced(before, after, 0)) == before


# --- presets


@pytest.mark.parametrize(
    ("settings", "families"),
    [
        ({}, [*DEFAULT, "corpusmill"]),
        ({"preset": "default"}, [*DEFAULT, "corpusmill"]),
        ({"preset": "gopher"}, ["gopher_repetition", "gopher_quality"]),
        ({"preset": "c4"}, ["c4"]),
        ({"preset": "fineweb"}, list(DEFAULT)),
        ({"preset": "nemotron_cc"}, ["nemotron"]),
        ({"families": ("c4",)}, ["c4"]),
        ({"preset": "fineweb", "families": ("c4",)}, ["c4"]),
    ],
)  # fmt: skip
def test_a_preset_names_the_families(settings, families):
    rules = Filter(**settings).in_force()
    assert list(dict.fromkeys(rule.family for rule in rules)) == families


def test_published_presets_have_every_published_rule_and_threshold():
    for name, preset in NAMED.items():
        if name != "default":
            published = [rule for family in preset.families for rule in FAMILIES[family]]
            assert list(Filter(preset=name).in_force()) == published
    assert list(Filter(families=("fineweb",)).in_force()) == list(FAMILIES["fineweb"])


def test_c4s_preset_takes_lines_without_terminal_punctuation_out():
    text = f"{GOOD}\nIts other wheel is kept in the town hall, for those who ask"
    assert Filter(preset="c4").apply(documents(text)).kept["text"].to_pylist() == [GOOD]
    assert Filter(preset="fineweb").apply(documents(text)).kept["text"].to_pylist() == [text]


def test_settings_of_the_recipe_win_over_the_preset():
    code = "gopher_quality.few_alphabetic_words"
    assert code not in {rule.code for rule in Filter().in_force()}
    given = Filter(thresholds={"gopher_quality": {"few_alphabetic_words": 0.5}})
    assert {rule.code: rule.threshold for rule in given.in_force()}[code] == 0.5
    off = Filter(preset="fineweb", off=(code,), thresholds={"c4": {"few_sentences": 3}})
    rules = {rule.code: rule.threshold for rule in off.in_force()}
    assert code not in rules
    assert rules["c4.few_sentences"] == 3


def test_the_published_chains_see_code_and_the_default_sees_the_prose_around_it():
    text = f"{GOOD}\n\n```\nif (x) {{ return }}\n```"
    assert reason_of(text, preset="fineweb") == "c4.curly_bracket"
    assert reason_of(text) is None
    assert reason_of(text, thresholds={"c4": {"curly_bracket": 0}}) is None
    assert (
        reason_of(text, thresholds={"c4": {"curly_bracket": 0}}, judge="text") == "c4.curly_bracket"
    )


# --- documents with structure


def test_a_document_that_is_mostly_code_is_judged_by_its_number_of_words():
    program = "\n".join(f"for x{n} in range({n}): total_{n} += f{n}(x{n})" for n in range(20))
    text = f"# Sums\n\nAll sums at once:\n\n```python\n{program}\n```"
    kept = Filter().apply(documents(text)).kept
    assert kept["text"].to_pylist() == [text]
    assert kept["stat_apart_lines"].to_pylist() == [20]
    assert kept["stat_words"].to_pylist() == [kept["stat_apart_words"][0].as_py() + 5]
    assert reason_of("# Sums\n\n```\nx = 1\n```") == "gopher_quality.few_words"


# --- languages


@pytest.mark.parametrize(
    ("language", "sentence"),
    [
        (
            "el",
            "Την άνοιξη εκείνης της χρονιάς {n} άνθρωποι περπάτησαν όλη την κοιλάδα με έναν τροχό.",
        ),
        ("hi", "उस साल के वसंत में {n} लोग एक पहिया और एक कॉपी लेकर पूरी घाटी में चले।"),
        ("am", "በዚያ ዓመት ጸደይ {n} ሰዎች ጎማና ደብተር ይዘው ሸለቆውን በሙሉ ተጓዙ።"),
        ("hy", "Այդ տարվա գարնանը {n} մարդ անիվով ու տետրով անցավ ամբողջ հովիտը։"),
        ("bo", "ལོ་དེའི་དཔྱིད་ཀར་མི་{n}་ཡིས་འཁོར་ལོ་དང་དེབ་ཁྱེར་ནས་ལུང་པ་ཡོངས་སུ་བགྲོད། ཁོ་ཚོས་ཟམ་པའི་བར་ཐག་བྲིས།"),
        ("fi", "Sinä keväänä {n} ihmistä kulki laakson läpi pyörän ja muistikirjan kanssa."),
        ("ml", "ആ വർഷത്തെ വസന്തകാലത്ത് {n} പേർ ചക്രവും നോട്ടുപുസ്തകവുമായി താഴ്വര മുഴുവൻ നടന്നു."),
        ("ur", "اس سال بہار میں {n} لوگ ایک پہیہ اور ایک کاپی لے کر پوری وادی میں چلے۔"),
    ],
)
def test_a_language_without_a_list_of_stop_words_is_not_judged_as_english(language, sentence):
    text = "\n\n".join(" ".join(sentence.format(n=n + k) for k in (2, 500)) for n in range(20))
    text += "\n\nJavaScript cookies\n\nab"
    outcome = Filter(
        off=tuple(r.code for r in Filter().in_force() if r.family == "gopher_repetition")
    ).apply(documents(text, language=[language]))
    assert outcome.excluded["detail"].to_pylist() == []
    assert outcome.kept["text"].to_pylist() == [text]  # no English phrase, no count of words


def test_own_stop_words_judge_a_language_without_a_list():
    danish = "\n".join(
        f"Den dag gik {n} mennesker gennem hele dalen med et hjul." for n in range(20)
    )
    for words, reasons in (
        (("og", "ikke"), ["gopher_quality.few_stop_words"]),
        (("gik", "med"), []),
    ):
        stage = Filter(families=("gopher_quality",), stop_words=words)
        outcome = stage.apply(documents(danish, language=["da"]))
        assert outcome.excluded["reason"].to_pylist() == reasons
