"""Loops, other languages, copies and answers to something else; and time that grows with length."""

import random
import time
import unicodedata

import pytest
from corpusmill.prompts import loader
from corpusmill.stages.synthesize.postfilters import FILTERS, Context, Rejection, clean
from corpusmill.stages.synthesize.postfilters.degenerate import (
    closeness,
    language,
    repetition,
    shared_words,
)
from corpusmill.stages.synthesize.segments import _SENTENCE_END

PASSAGE = (
    "The Danube rises in the Black Forest and flows to the Black Sea. On its way it passes ten "
    "countries and four capitals. Ships have carried salt, wine and grain on it since Roman times. "
    "Floods were frequent until the great dams were built, and fishermen lived on their islands."
)
RETOLD = (
    "From its source in the Black Forest, the Danube crosses ten countries before it ends in the "
    "Black Sea. It has served as a road for salt, grain and wine since the Romans. Four capitals "
    "lie on its banks. Dams put an end to most floods, which fishermen on the islands had feared."
)
GERMAN = (
    "Die Donau entspringt im Schwarzwald und mündet in das Schwarze Meer. Auf ihrem Weg fließt sie "
    "durch zehn Länder und vier Hauptstädte. Schiffe beförderten auf ihr Salz, Wein und Getreide."
)
OTHER = (
    "A compiler reads the whole program before anything runs, while an interpreter works through "
    "every statement in turn. Many languages now use a mixture of both approaches, and translate "
    "only those functions that are called often enough to make the effort worth its time."
)


def context(segment: str = PASSAGE) -> Context:
    return Context(segment, 60, "", 0)


def reason(result) -> str:
    return result.reason if isinstance(result, Rejection) else ""


def distinct(words: int) -> str:
    chance = random.Random(0)
    return " ".join("".join(chance.choices("abcdefgh", k=5)) for _ in range(words))


@pytest.mark.parametrize("unit", ["→", "meta", "the old dam ", "a b c d e f g h i j k l "])
def test_a_loop_at_the_end_of_a_long_answer_is_found(unit):
    good = distinct(1000)
    looped = good + " " + (unit + " ") * (1 + 120 // len(unit.split()))
    if unit == "→":  # a row of signs says nothing wrong by itself
        assert reason(repetition(looped, context())) == ""
    else:
        assert reason(repetition(looped, context())) == "repetition"
        assert reason(repetition(looped, context(looped))) == ""
    assert reason(repetition(good, context())) == ""


def test_a_few_repeats_are_no_loop():
    assert reason(repetition(distinct(100) + " no no no no " + distinct(50), context())) == ""


def test_another_language_is_dropped_with_both_scores():
    result = language(GERMAN, context())
    assert isinstance(result, Rejection)
    assert result.reason == "other_language"
    assert result.detail.startswith("de (")
    assert "for en (" in result.detail


@pytest.mark.parametrize(("answer", "passage"), [(RETOLD, PASSAGE), (GERMAN, GERMAN)])
def test_the_same_language_passes(answer, passage):
    assert language(answer, context(passage)) == answer


def test_a_language_that_is_not_sure_passes():
    assert language("Ja, das ist so.", context()) == "Ja, das ist so."
    table = "km 12 14 a b c d e f g h " * 10
    assert language(table, context(GERMAN)) == table


def test_a_copy_is_too_close_only_if_the_prompt_says_so():
    assert reason(closeness(PASSAGE, context())) == ""
    assert reason(closeness(PASSAGE, context(), most=0.95)) == "too_close"
    assert reason(closeness(RETOLD, context(), most=0.3)) == ""


def test_an_answer_to_something_else_is_too_far():
    assert reason(closeness(OTHER, context(), least=0.3)) == "too_far"
    assert reason(closeness(RETOLD, context(), least=0.3)) == ""
    assert reason(closeness("Yes.", context(), least=0.3)) == ""


def test_closeness_works_in_scripts_without_spaces():
    passage = "长江全长六千三百公里流经十一个省份武汉长江大桥于一九五七年十月建成通车" * 2
    answer = "武汉长江大桥在一九五七年十月通车长江流经十一个省份总长约六千三百公里" * 2
    far = "编译器在运行之前读取整个程序而解释器则逐条执行语句许多语言现在混合使用两者" * 2
    assert reason(closeness(answer, context(passage), least=0.3)) == ""
    assert reason(closeness(far, context(passage), least=0.3)) == "too_far"


CHINESE = (
    "武汉长江大桥位于湖北省，1955年9月动工，1957年10月建成通车。它是长江上的第一座铁路公路两用桥，"
    "全长1670米，上层是公路，下层是铁路。大桥建成以后，京广铁路连成一线，两岸交通十分方便。"
)
CHINESE_RETOLD = (
    "1957年10月，武汉长江大桥通车。这座桥在湖北省，1955年开始动工，全长1670米。长江上从前没有大桥，"
    "它是第一座铁路和公路两用的桥：公路在上层，铁路在下层。京广铁路从此连成一线，两岸的交通方便了。"
)
CHINESE_OTHER = (
    "编译器先读完整个程序，再把它翻译成机器代码。解释器不同，它一条一条地执行语句，遇到错误就停下来。"
    "现在，很多语言两种办法都用：先解释，然后只翻译常用的函数，这样程序启动快，运行也快。"
)
JAPANESE = (
    "この橋は、川の両岸を結ぶ。建設は1900年、設計は外国人の技師、材料は鉄。昔、人は舟で川を渡り、"
    "雨が続くと、村から町へ行けなかった。今は毎日、多くの人が橋を渡り、学校や市場へ通う。"
)
JAPANESE_RETOLD = (
    "昔、村の人は舟で川を渡った。雨が続くと、町へは行けなかった。1900年、外国人の技師が設計し、"
    "鉄の橋ができた。今、川の両岸は橋で結ばれ、毎日、多くの人が学校や市場へ通う。"
)
JAPANESE_OTHER = (
    "猫は、よく眠る動物だ。一日に十四時間、若い猫なら、もっと長い。狩りは夜明け、獲物は鼠や小鳥。"
    "耳は鋭く、暗い所でも、目は見える。機嫌がよい時、喉を鳴らし、尾を高く上げる。"
)

# The same three texts in each: a bridge, the bridge retold, cats.
ALPHABETS = {
    "thai": (
        "สะพานนี้เชื่อมสองฝั่งแม่น้ำ สร้างเมื่อปี 1900 โดยวิศวกรชาวต่างประเทศและใช้เหล็กเป็นวัสดุ "
        "เมื่อก่อนชาวบ้านข้ามแม่น้ำด้วยเรือ ถ้าฝนตกติดต่อกันหลายวันก็เดินทางจากหมู่บ้านเข้าเมืองไม่ได้ "
        "ปัจจุบันมีคนจำนวนมากใช้สะพานข้ามไปโรงเรียนและตลาดทุกวัน",
        "แต่ก่อนคนในหมู่บ้านต้องนั่งเรือข้ามแม่น้ำ และเข้าเมืองไม่ได้เมื่อฝนตกหลายวัน "
        "ในปี 1900 วิศวกรชาวต่างประเทศสร้างสะพานเหล็กเชื่อมสองฝั่ง "
        "ทุกวันนี้คนจำนวนมากเดินข้ามสะพานไปตลาดและโรงเรียน",
        "แมวเป็นสัตว์ที่นอนเก่ง วันหนึ่งนอนประมาณสิบสี่ชั่วโมง แมวอายุน้อยนอนนานกว่านั้น "
        "มันออกล่าหนูและนกตัวเล็กก่อนพระอาทิตย์ขึ้น หูของมันไวมาก ตามองเห็นในที่มืดได้ดี "
        "เวลาอารมณ์ดีจะส่งเสียงในลำคอและยกหางขึ้นสูง",
    ),
    "lao": (
        "ຂົວນີ້ເຊື່ອມຕໍ່ສອງຝັ່ງແມ່ນ້ຳ ສ້າງຂຶ້ນໃນປີ 1900 ໂດຍວິສະວະກອນຊາວຕ່າງປະເທດ ແລະ ໃຊ້ເຫຼັກເປັນວັດສະດຸ "
        "ແຕ່ກ່ອນຊາວບ້ານຂ້າມແມ່ນ້ຳດ້ວຍເຮືອ ຖ້າຝົນຕົກຕິດຕໍ່ກັນຫຼາຍມື້ກໍເດີນທາງຈາກບ້ານເຂົ້າເມືອງບໍ່ໄດ້ "
        "ປັດຈຸບັນມີຄົນຈຳນວນຫຼາຍຂ້າມຂົວໄປໂຮງຮຽນ ແລະ ຕະຫຼາດທຸກມື້",
        "ແຕ່ກ່ອນຄົນໃນບ້ານຕ້ອງຂີ່ເຮືອຂ້າມແມ່ນ້ຳ ແລະ ເຂົ້າເມືອງບໍ່ໄດ້ເມື່ອຝົນຕົກຫຼາຍມື້ "
        "ໃນປີ 1900 ວິສະວະກອນຊາວຕ່າງປະເທດສ້າງຂົວເຫຼັກເຊື່ອມຕໍ່ສອງຝັ່ງ "
        "ທຸກມື້ນີ້ຄົນຈຳນວນຫຼາຍຂ້າມຂົວໄປຕະຫຼາດ ແລະ ໂຮງຮຽນ",
        "ແມວເປັນສັດທີ່ນອນເກັ່ງ ມື້ໜຶ່ງນອນປະມານສິບສີ່ຊົ່ວໂມງ ແມວນ້ອຍນອນດົນກວ່ານັ້ນ "
        "ມັນອອກລ່າໜູ ແລະ ນົກໂຕນ້ອຍກ່ອນຕາເວັນຂຶ້ນ ຫູຂອງມັນໄວຫຼາຍ ຕາເຫັນໃນບ່ອນມືດໄດ້ດີ "
        "ເວລາອາລົມດີຈະສົ່ງສຽງ ແລະ ຍົກຫາງຂຶ້ນສູງ",
    ),
    "khmer": (
        "ស្ពាននេះតភ្ជាប់ច្រាំងទន្លេទាំងពីរ។ វាត្រូវបានសាងសង់នៅឆ្នាំ ១៩០០ ដោយវិស្វករបរទេស ហើយធ្វើពីដែក។ "
        "កាលពីមុន អ្នកភូមិឆ្លងទន្លេដោយទូក ហើយពេលភ្លៀងធ្លាក់ច្រើនថ្ងៃ ពួកគេមិនអាចធ្វើដំណើរពីភូមិទៅទីក្រុងបានទេ។ "
        "សព្វថ្ងៃ មនុស្សជាច្រើនឆ្លងស្ពានទៅសាលារៀន និងផ្សារជារៀងរាល់ថ្ងៃ។",
        "កាលពីមុន អ្នកភូមិត្រូវជិះទូកឆ្លងទន្លេ ហើយមិនអាចទៅទីក្រុងបានទេ ពេលភ្លៀងធ្លាក់ច្រើនថ្ងៃ។ "
        "នៅឆ្នាំ ១៩០០ វិស្វករបរទេសបានសាងសង់ស្ពានដែកតភ្ជាប់ច្រាំងទាំងពីរ។ "
        "ឥឡូវនេះ មនុស្សជាច្រើនឆ្លងស្ពានទៅផ្សារ និងសាលារៀនរាល់ថ្ងៃ។",
        "ឆ្មាជាសត្វដែលចូលចិត្តគេង។ ក្នុងមួយថ្ងៃ វាគេងប្រហែលដប់បួនម៉ោង ហើយឆ្មាតូចៗគេងយូរជាងនេះ។ "
        "វាចាប់កណ្ដុរ និងបក្សីតូចៗមុនថ្ងៃរះ។ ត្រចៀករបស់វាស្ដាប់ឮច្បាស់ ហើយភ្នែកមើលឃើញក្នុងទីងងឹត។ "
        "ពេលសប្បាយចិត្ត វាលើកកន្ទុយឡើងខ្ពស់។",
    ),
    "burmese": (
        "ဤတံတားသည် မြစ်၏ ကမ်းနှစ်ဖက်ကို ဆက်သွယ်ထားသည်။ ၁၉၀၀ ခုနှစ်တွင် နိုင်ငံခြား အင်ဂျင်နီယာများက "
        "သံဖြင့် တည်ဆောက်ခဲ့သည်။ ယခင်က ရွာသားများသည် လှေဖြင့် မြစ်ကို ဖြတ်ကူးရပြီး မိုးရက်ဆက်ရွာလျှင် "
        "ရွာမှ မြို့သို့ မသွားနိုင်ခဲ့ကြပါ။ ယခု လူအများသည် နေ့စဉ် တံတားကို ဖြတ်၍ ကျောင်းနှင့် ဈေးသို့ သွားကြသည်။",
        "ယခင်က ရွာသားများ မြစ်ကို လှေဖြင့် ဖြတ်ကူးခဲ့ရသည်။ မိုးရက်ဆက်ရွာလျှင် မြို့သို့ မသွားနိုင်ခဲ့ပါ။ "
        "၁၉၀၀ ခုနှစ်တွင် နိုင်ငံခြား အင်ဂျင်နီယာများက ကမ်းနှစ်ဖက်ကို ဆက်သွယ်သော သံတံတားကို "
        "တည်ဆောက်ခဲ့သည်။ ယခု လူအများ နေ့စဉ် တံတားကို ဖြတ်၍ ဈေးနှင့် ကျောင်းသို့ သွားကြသည်။",
        "ကြောင်သည် အိပ်ရန် နှစ်သက်သော တိရစ္ဆာန် ဖြစ်သည်။ တစ်နေ့လျှင် ဆယ့်လေးနာရီခန့် အိပ်ပြီး ကြောင်ငယ်များက "
        "ပို၍ ကြာရှည် အိပ်ကြသည်။ နေမထွက်မီ ကြွက်နှင့် ငှက်ငယ်များကို ဖမ်းသည်။ နားသည် အလွန် ပါးပြီး "
        "မှောင်သော နေရာတွင် မျက်စိ မြင်နိုင်သည်။ ပျော်ရွှင်သောအခါ အမြီးကို ထောင်သည်။",
    ),
}


@pytest.mark.parametrize("script", ALPHABETS)
def test_letters_that_all_texts_of_an_alphabet_share_are_no_likeness(script):
    """An alphabet has few pairs of letters: texts about anything share a third of them or more."""
    passage, retold, other = ALPHABETS[script]
    about_much = "\n".join(text for texts in ALPHABETS.values() for text in texts[:2])
    assert reason(closeness(retold, context(passage), least=0.3)) == ""
    assert reason(closeness(other, context(passage), least=0.3)) == "too_far"
    assert reason(closeness(other, context(about_much), least=0.3)) == "too_far"
    assert (shared_words(retold, passage) or 0) > 2 * (shared_words(other, about_much) or 1)


@pytest.mark.parametrize(
    ("passage", "retold", "other"),
    [
        (CHINESE, CHINESE_RETOLD, CHINESE_OTHER),
        (JAPANESE, JAPANESE_RETOLD, JAPANESE_OTHER),
        (  # more Latin letters than Chinese signs
            f"{CHINESE} tokenizer configuration",
            f"{CHINESE_RETOLD} configuration, tokenizer",
            f"{CHINESE_OTHER} interpreter, bytecode",
        ),
    ],
    ids=["chinese", "japanese", "mixed"],
)
def test_marks_between_clauses_do_not_hide_a_script_without_spaces(passage, retold, other):
    """Clauses are no words: of a retelling, hardly one begins with the same five signs."""
    assert reason(closeness(retold, context(passage), least=0.3)) == ""
    assert reason(closeness(other, context(passage), least=0.3)) == "too_far"
    assert reason(closeness(passage, context(passage), most=0.9)) == "too_close"


@pytest.mark.parametrize(
    "text",
    [
        "Những người đánh cá thường xuyên nghỉ trưa giữa những chuyến thuyền trên dòng sông lớn.",
        "천구백년에 만들어졌으며 어린이들은 건너다녔습니다 자동차들이 지나갑니다",
    ],
    ids=["vietnamese", "korean"],
)
def test_how_a_text_encodes_its_marks_does_not_matter(text):
    apart, together = (unicodedata.normalize(form, text) for form in ("NFD", "NFC"))
    assert apart != together
    assert shared_words(apart, together) == shared_words(together, apart) == 1


ARABIC = "الجِسْرُ القَدِيمُ فِي المَدِينَةِ بُنِيَ قَبْلَ مِئَةِ عَامٍ ثُمَّ رُمِّمَ "
BENGALI = "শহরের পুরোনো সেতুটি একশো বছর আগে তৈরি হয়েছিল এবং পরে মেরামত করা হয়েছে। "


@pytest.mark.parametrize("text", [ARABIC * 3, BENGALI * 3])
def test_vowels_that_are_marks_end_no_word(text):
    """Else no long word would be left, and every answer would be too far."""
    assert reason(closeness(text, context(text), least=0.9)) == ""
    assert shared_words(text, PASSAGE) in (0.0, None)


def test_a_passage_and_an_answer_of_two_scripts_are_compared_alike():
    japanese = "この橋は千九百年に建てられ川の両岸を結び毎日多くの人が渡っている"
    mixed = f"{japanese} pip install bridge with some more words of a shell session and its flags"
    assert (shared_words(japanese, mixed) or 0) > 0.9


def test_few_long_words_tell_nothing():
    assert shared_words("1, 2, 3: yes, it is so", PASSAGE) is None


# Time


def seconds(work) -> float:
    """The least of five runs."""
    taken = []
    for _ in range(5):
        started = time.process_time()
        work()
        taken.append(time.process_time() - started)
    return min(taken)


NASTY = [
    ".", ". ", "\"", "* ", "*a", "_a ", "`", "`a ", "[", "[a](", "](", "|", "|-", "1 ", "1,", "A",
    "A ", "Aa ", "a\n", "- a\n", "Question: a\n", "<think>", "(", "$", "\\", "# ", "sure ",
    "note: ", "I'm sorry ", "。", "the ", "3.", "12 345 ", "a" * 50 + " ", "1'", "A of the ",
    "FLINK-1 ", "$a ", "$$", "\\(", "\\[a", "$ a$1",
]  # fmt: skip


@pytest.mark.parametrize("name", sorted(FILTERS))
def test_no_filter_takes_more_than_linear_time(name):
    """Four times the text takes less than eight times as long, on what regular expressions fear."""
    arguments = {"begin": ["Zz"]} if name == "labels" else {}
    prompt = loader.load("rephrase").model_copy(update={"postfilters": ((name, arguments),)})

    def all_nasty(length: int) -> None:
        for unit in NASTY:
            text = unit * (length // len(unit))
            clean(text, prompt, Context(text, 10, "Rewritten text:", 0, "Rewrite this."))

    all_nasty(100)
    short = seconds(lambda: all_nasty(1_000))
    long = seconds(lambda: all_nasty(4_000))
    assert long < 8 * short + 0.02, (name, short, long)


def test_sentences_end_in_linear_time():
    """A row of dots was read anew from each of its dots."""

    def ends(length: int) -> None:
        for text in ("." * length, "?!" * (length // 2) + "x", '."' * (length // 2)):
            assert not list(_SENTENCE_END.finditer(text))

    short, long = seconds(lambda: ends(20_000)), seconds(lambda: ends(80_000))
    assert long < 8 * short + 0.01, (short, long)
