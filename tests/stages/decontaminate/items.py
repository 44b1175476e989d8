"""Small evaluation sets, written for these tests, in the layouts of public ones."""

from typing import Any

Rows = list[dict[str, Any]]

QUESTIONS: Rows = [
    {
        "id": "ships-0",
        "question": "A lighthouse keeper trims 14 lamps each evening and 9 more after every storm. "
        "If three storms pass in one week, how many lamps does she trim that week?",
        "answer": "In seven evenings she trims 14 * 7 = <<14*7=98>>98 lamps. The three storms add "
        "9 * 3 = <<9*3=27>>27 lamps. Together the keeper trims 98 + 27 = 125 lamps.\n#### 125",
    },
    {
        "id": "ships-1",
        "question": "Which harbour did the cartographer Ilse Brandvold survey before the ice of "
        "1871 closed the strait?",
        "answer": "Kvalsund",
    },
    {"id": "ships-2", "question": "Who tuned Marwick's carillon?", "answer": "Oswin Pettifer"},
    {"id": "ships-3", "question": "What is the capital of France?", "answer": "Paris"},
]
CHOICES: Rows = [
    {
        "id": "reef-0",
        "query": "Question: Why do parrotfish sleep inside a cocoon of mucus on coral reefs?\n"
        "A. It hides their scent from moray eels\nB. It keeps the water out\nAnswer:",
        "choices": ["A", "B"],
        "gold": 0,
    },
    {
        "id": "reef-1",
        "query": "lantern wick",
        "choices": [
            "draws whale oil upward through braided cotton fibres",
            "is made of lead and sinks to the floor",
        ],
        "gold": 0,
    },
]
PASSAGES: Rows = [
    {
        "id": "mill-0",
        "passage": "The tidal mill at Eling has two wheels, of which one still grinds wheat into "
        "flour whenever the pond behind the causeway has filled. Millers there worked by the moon "
        "rather than the clock, and slept between two tides.",
        "question": "did the millers at the tidal mill of eling work by the clock",
        "answer": False,
    }
]
CODE: Rows = [
    {
        "task_id": "sluice/0",
        "prompt": 'def open_sluices(levels, limit):\n    """Return the indices of basins whose '
        'water level exceeds the limit, deepest basin first."""\n',
        "canonical_solution": "    over = [index for index, level in enumerate(levels) if level > "
        "limit]\n    over.sort(key=lambda index: levels[index], reverse=True)\n    drained = "
        "dict.fromkeys(over)\n    return list(drained)\n",
    }
]
TEXTS: Rows = [
    {
        "text": "Peat cutters on the northern moor stacked their turves in low walls that the wind "
        "could dry. A family needed some fifteen thousand of them for a winter. Children turned "
        "each turf twice, and carried the dry ones home in creels of plaited willow before the "
        "September rains came."
    }
]
SETS = {"ships": QUESTIONS, "reef": CHOICES, "mill": PASSAGES, "sluice": CODE, "moor": TEXTS}

FILLER = (
    "The council met on Tuesday to talk about the new road. Most people who came were in favour, "
    "but some asked what it would cost and who would pay for it in the end. "
)
