"""The bytes that `corpusmill generate` is given: line ends, byte-order marks, other encodings."""

import json

import pytest
from corpusmill.manifests.errors import InputError
from corpusmill.stages.generate.reading import piped_prompt, read_lines

# All that str.splitlines takes for line ends, and JSON allows in a text.
SEPARATORS = "\u2028\u2029\u0085\x7f"


def test_a_line_ends_at_a_line_feed_alone(tmp_path, pipe):
    records = [{"prompt": f"one{SEPARATORS}two"}, {"prompt": "three"}]
    content = "\r\n".join(json.dumps(record, ensure_ascii=False) for record in records).encode()
    (tmp_path / "in.jsonl").write_bytes(content)
    pipe(content)
    for name in (str(tmp_path / "in.jsonl"), "-"):
        assert [json.loads(line) for line in read_lines(name)] == records


def test_a_byte_order_mark_is_no_part_of_the_first_line(tmp_path):
    (tmp_path / "in.jsonl").write_bytes(b'\xef\xbb\xbf{"prompt": "a"}')
    assert read_lines(str(tmp_path / "in.jsonl")) == ['{"prompt": "a"}']


@pytest.mark.parametrize("content", ["caf\u00e9".encode("latin-1"), '{"a": 1}'.encode("utf-16")])
def test_other_encodings_are_refused_with_the_line(tmp_path, pipe, content):
    (tmp_path / "in.jsonl").write_bytes(b"{}\n" + content)
    with pytest.raises(InputError, match=r"in.jsonl is not UTF-8 \(line 2: .*; save it as UTF-8"):
        read_lines(str(tmp_path / "in.jsonl"))
    pipe(b"\n\n" + content)
    with pytest.raises(InputError, match=r"standard input is not UTF-8 \(line 3"):
        piped_prompt()


def test_a_prompt_loses_only_the_line_end_that_echo_adds(pipe):
    for content, prompt in ((b"a\n\n", "a\n"), (b"a\r\n", "a"), (b" a ", " a ")):
        pipe(content)
        assert piped_prompt() == prompt


def test_empty_input_is_no_prompt(pipe):
    pipe(b"")
    with pytest.raises(InputError, match="standard input is empty"):
        piped_prompt()
