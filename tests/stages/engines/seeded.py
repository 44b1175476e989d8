"""Requests of many lengths, each with a seed of its own."""

from corpusmill.stages.engines.contract import Request

TEXTS = [
    "bread",
    "the river rises in the hills",
    "a",
    "water and salt and yeast and flour " * 5,
    "1928",
    "sea",
]


def requests_of(engine, texts=TEXTS, **changes):
    ids = engine.tokenizer().prompt_ids([[{"role": "user", "content": text}] for text in texts])
    settings = {"max_tokens": 12, "temperature": 0.8, "top_p": 0.9, **changes}
    return [
        Request(token_ids=tuple(prompt), messages=(), seed=100 + number, **settings)
        for number, prompt in enumerate(ids)
    ]
