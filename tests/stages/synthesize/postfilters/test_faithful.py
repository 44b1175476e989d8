"""Faithfulness: planted errors are found, and good rephrasings pass."""

import pytest
from corpusmill.stages.synthesize.postfilters import Context, Rejection
from corpusmill.stages.synthesize.postfilters.faithful import faithful

# (passage, a good rephrasing)
PAIRS = {
    "river": (
        "The Danube rises in the Black Forest, Germany, and flows 2,850 km to the Black Sea. It "
        "passes ten countries. Vienna was founded on it in the first century; Budapest was joined "
        "from Buda and Pest in November 1873. About 83 million people live in its basin.",
        "Germany's Black Forest is where the Danube begins. Over 2850 kilometres it crosses 10 "
        "countries on its way to the Black Sea, and some 83,000,000 people live along its "
        "tributaries. Two towns on it, Buda and Pest, became Budapest in November 1873, while "
        "Vienna goes back to the 1st century.",
    ),
    "person": (
        "Ada Lovelace (10 December 1815 - 27 November 1852) was an English mathematician. She is "
        "known for her notes on Charles Babbage's Analytical Engine, published in 1843, which hold "
        "what many call the first program. Her father was the poet Lord Byron.",
        "The English mathematician Ada Lovelace was born on December 10, 1815, to the poet Lord "
        "Byron. In 1843 she published notes about the Analytical Engine of Charles Babbage. They "
        "contain what is often regarded as the first computer program. Lovelace died on 27 "
        "November 1852.",
    ),
    "software": (
        "Flink 1.15.4 was released on 2023-03-15. It fixes 53 bugs. The JobManager could deadlock "
        "when maxParallelism was set above 128 (FLINK-29234), and RocksDB kept sst files forever. "
        "Users of flink-java should upgrade. The Apache Software Foundation hosts the project.",
        "On 15 March 2023 Apache published Flink 1.15.4 with 53 bug fixes. One of them, "
        "FLINK-29234, concerns a deadlock of the JobManager that appeared with a maxParallelism of "
        "more than 128. Another stops RocksDB from keeping sst files for ever. An upgrade is "
        "recommended for flink-java. The project belongs to the ASF.",
    ),
    "prices": (
        "A ticket costs $12.50, children under 6 go free. The museum opens at 9:30 and closes at "
        "18:00, on Mondays it stays shut. In May there were 1,204 visitors, 15% over April.",
        "Admission is 12.50 dollars, and free for children younger than six. Opening hours are "
        "9:30 to 18:00 every day but Monday. May brought 1204 visitors, up 15 percent from April.",
    ),
    "german": (
        "Die Elbe entspringt im Riesengebirge und mündet nach 1.094 km in die Nordsee. Dresden "
        "wurde 1206 zum ersten Mal erwähnt. Im August 2002 stand das Wasser dort bei 9,40 Metern.",
        "Nach einem Lauf von 1094 Kilometern, der im Riesengebirge beginnt, erreicht die Elbe die "
        "Nordsee. Eine Urkunde von 1206 nennt erstmals Dresden, wo der Fluss im August 2002 einen "
        "Pegel von 9,40 m erreichte.",
    ),
    "french": (
        "La tour Eiffel, construite par Gustave Eiffel pour l'Exposition de 1889, mesure 330 "
        "mètres. Elle a été inaugurée le 31 mars 1889 et reçoit près de 7 millions de visiteurs "
        "par an.",
        "Œuvre de Gustave Eiffel, la tour haute de 330 m a ouvert le 31 mars 1889, lors de "
        "l'Exposition. Chaque année, environ sept millions de personnes visitent la tour Eiffel.",
    ),
    "russian": (
        "Волга длиной 3530 км впадает в Каспийское море. Город Казань основан в 1005 году. "
        "Население Казани - 1,3 млн человек.",
        "Казань, основанная в 1005 году, стоит на Волге; в ней живут 1,3 миллиона человек. Река "
        "длиной 3530 км течёт в Каспийское море.",
    ),
    "chinese": (
        "长江全长6300公里,流经十一个省份。武汉长江大桥于1957年10月建成通车。",
        "武汉长江大桥在1957年10月通车。长江流经11个省份,总长约6300公里。",
    ),
    "economics": (
        "In 1990, Brazil and Argentina saw inflation above 2000%. Nigeria had a rate of 75% in "
        "1995. In the United States, it was typically 2% to 4% over the last two decades. The "
        "Federal Reserve, led by Paul Volcker, had raised rates to 20% by June 1981.",
        "Inflation exceeded 2000% in Argentina and Brazil in 1990, while the Nigerian rate stood "
        "at 75% five years later, in 1995. American inflation has usually been between 2 and 4 "
        "percent in the past two decades. By June 1981 Paul Volcker's Federal Reserve had pushed "
        "interest rates up to 20%. Clearly, Brazilian prices rose much faster than in the US.",
    ),
}
# (pair, what is written, what stands there then, reason)
PLANTED = [
    ("river", "2850", "2580", "new_number"),
    ("river", "10 countries", "12 countries", "new_number"),
    ("river", "83,000,000", "38,000,000", "new_number"),
    ("river", "November 1873", "October 1873", "new_number"),
    ("river", "while Vienna", "while Belgrade", "new_name"),
    ("river", "Germany's", "Austria's", "new_name"),
    ("person", "December 10, 1815", "September 10, 1815", "new_number"),
    ("person", "1843", "1834", "new_number"),
    ("person", "Charles Babbage", "Charles Darwin", "new_name"),
    ("person", "Lovelace died", "Lovejoy died", "new_name"),
    ("software", "1.15.4", "1.15.5", "new_number"),
    ("software", "FLINK-29234", "FLINK-29231", "new_number"),
    ("software", "JobManager", "TaskManager", "new_name"),
    ("software", "maxParallelism", "minParallelism", "new_name"),
    ("software", "March", "May", "new_number"),
    ("prices", "12.50", "15.20", "new_number"),
    ("prices", "9:30", "10:30", "new_number"),
    ("prices", "than six", "than 7", "new_number"),
    ("prices", "from April", "from June", "new_number"),
    ("german", "1094", "1904", "new_number"),
    ("german", "August 2002", "Juli 2002", "new_number"),
    ("german", "9,40 m", "9,04 m", "new_number"),
    ("french", "330 m", "303 m", "new_number"),
    ("french", "31 mars", "31 mai", "new_number"),
    ("french", "Gustave", "Georges", "new_name"),
    ("russian", "1005", "1500", "new_number"),
    ("russian", "на Волге", "на Доне", "new_name"),
    ("chinese", "6300", "3600", "new_number"),
    ("chinese", "1957", "1967", "new_number"),
    ("economics", "Paul Volcker", "Alan Greenspan", "new_name"),
    ("economics", "75%", "57%", "new_number"),
]


def judged(answer: str, passage: str, **shares: float) -> str:
    """The reason, or "" if the answer passes."""
    context = Context(segment=passage, segment_tokens=100, lead_in="", seed=0)
    result = faithful(answer, context, **shares)
    if isinstance(result, Rejection):
        return result.reason
    assert result == answer
    return ""


@pytest.mark.parametrize("name", PAIRS)
def test_a_passage_is_faithful_to_itself(name):
    assert judged(PAIRS[name][0], PAIRS[name][0]) == ""


@pytest.mark.parametrize("name", PAIRS)
def test_a_good_rephrasing_passes(name):
    passage, answer = PAIRS[name]
    assert judged(answer, passage) == ""


@pytest.mark.parametrize(("name", "written", "instead", "reason"), PLANTED)
def test_a_planted_error_is_found(name, written, instead, reason):
    passage, answer = PAIRS[name]
    assert answer.count(written) == 1
    assert judged(answer.replace(written, instead), passage) == reason


TICKETS = """Fixed in this release:

- [FLINK-9655] - Externalized checkpoint E2E test fails on travis
- [FLINK-9693] - Possible memory leak in jobmanager retaining archived checkpoints
- [FLINK-9694] - Potentially NPE in CompositeTypeSerializerConfigSnapshot constructor
- [FLINK-9923] - OneInputStreamTaskTest.testWatermarkMetrics fails on Travis"""


def test_a_ticket_with_the_title_of_another_is_found():
    right = "Two tickets: FLINK-9693, a possible memory leak in the jobmanager; and FLINK-9655."
    assert judged(right, TICKETS) == ""
    wrong = TICKETS.replace("[FLINK-9693]", "[FLINK-X]").replace("[FLINK-9655]", "[FLINK-9693]")
    assert judged(wrong.replace("[FLINK-X]", "[FLINK-9655]"), TICKETS) == "swapped_fact"
    one = "- [FLINK-9655] - Possible memory leak in jobmanager retaining archived checkpoints"
    assert judged(one, TICKETS) == "swapped_fact"
    assert judged(one, TICKETS, swapped=1) == ""


PEOPLE = """Maria Novak designed the stone bridge over the northern canal in 1871.

Peter Hansen painted the ceiling of the concert hall and its wooden doors in 1904."""


@pytest.mark.parametrize(
    "answer",
    [
        "Peter Hansen designed the stone bridge over the northern canal.",
        "The stone bridge over the northern canal was designed in 1904.",
    ],
)
def test_swapped_people_and_years_are_found(answer):
    assert judged(answer, PEOPLE) == "swapped_fact"


@pytest.mark.parametrize(
    "answer",
    [
        "The stone bridge of 1871 is by Maria Novak; the ceiling of the hall is by Peter Hansen.",
        "In 1904 Hansen painted wooden doors and a ceiling. Novak's bridge was older: 1871.",
    ],
)
def test_people_in_another_order_pass(answer):
    assert judged(answer, PEOPLE) == ""


def test_shares_let_some_pass():
    passage = "Anna has 3 apples and 4 pears. She pays 12 euros."
    answer = "Anna has 3 apples, 4 pears and 5 plums for 12 euros."
    assert judged(answer, passage) == "new_number"
    assert judged(answer, passage, numbers=0.25) == ""
    assert judged(answer, passage, numbers=0.24) == "new_number"
    assert judged("Bert Brown met Anna.", passage, names=1) == ""


def test_facts_that_are_left_out_count_if_the_prompt_says_so():
    passage = "The mill at Ulm was built in 1871. It was sold in 1904 to Maria Novak of Brunn."
    answer = "The mill at Ulm dates from 1871."
    assert judged(answer, passage) == ""
    assert judged(answer, passage, missing=0.7) == ""
    assert judged(answer, passage, missing=0.6) == "missing_fact"


def test_marks_of_lists_and_steps_are_no_numbers():
    passage = "Find the river, then follow it."
    assert judged("Step 1: Find the river.\nStep 2: Follow it.", passage) == ""
    assert judged("1. Find the river.\n2) Follow it.", passage) == ""
    assert judged("Find the river in step 1.", passage) == "new_number"


def test_usual_words_at_the_beginning_of_a_sentence_are_no_names():
    for word in ("Additionally", "Collectively", "Geographically", "Admittedly", "Rewriting"):
        assert judged(f"{word}, a possible memory leak was fixed.", TICKETS) == ""


@pytest.mark.parametrize(
    "answer",
    [
        "Metacorporation - Metacorporation fixes a memory leak.",  # a copier that went astray
        "Continently fixed in this release:\n\nA possible memory leak.",
        "A NullPointerException in the DataSet constructor was fixed.",
    ],
)
def test_words_of_no_language_are_names(answer):
    assert judged(answer, TICKETS) == "new_name"


CENSUS = (
    "The census of 2006 asked 40 households. In the north, 59 percent speak English, and in the "
    "south 23.5 percent speak French. Sixteen towns answered on Sat. evening, and the January "
    "issue printed the tables. Kenton Hill counted them; Hill lives there."
)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("Sixteen towns answered on Saturday; the January issue has the tables.", ""),
        ("Towns, 16 of them, answered.", ""),
        ("Eighteen towns answered.", "new_number"),
        ("Twenty-one towns answered.", "new_number"),
        ("The tables are in the March issue.", "new_number"),
        ("The towns answered on Sunday; it was a long Sunday.", "new_name"),
        ("In the north, 23.5 percent speak English, in the south 59 percent.", "swapped_fact"),
        ("In the south 23.5 percent speak French, in the north 59 percent English.", ""),
        ("Kenton's count was made there; Hill's home is there, too.", ""),
    ],
)
def test_number_words_days_and_exchanged_numbers(answer, reason):
    assert judged(answer, CENSUS) == reason


@pytest.mark.parametrize(
    ("passage", "answer", "reason"),
    [
        ("It opens on Saturday.", "It is open on Sat only.", ""),
        ("It opens Weds. at noon.", "It opens on Wednesday at noon.", ""),
        ("It opens on Wednesday at noon.", "It opens on Weds at noon.", ""),
        ("It opens on Wednesday.", "It is open on Sat only.", "new_name"),
        ("Legolas is one of the elves.", "Legolas is an elf of the forest.", ""),
        ("Die Mannschaft hat elf Spieler.", "Es sind 11 Spieler in der Mannschaft.", ""),
        ("Die Mannschaft hat 11 Spieler.", "Die Mannschaft hat zwölf Spieler.", "new_number"),
    ],
)
def test_days_in_short_and_words_that_are_numbers_elsewhere(passage, answer, reason):
    assert judged(answer, passage) == reason
