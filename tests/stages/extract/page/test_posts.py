"""All posts of a thread come out, short ones too; the comments of an article do not."""

import pytest
from corpusmill.stages.extract.main_content import main_content

LONG = (
    "The clutch slips after half an hour on the motorway, and only when it is hot outside. In the "
    "morning it grips perfectly, and I do not want to change the whole thing if it is the cable.",
    "Then it is worn. When it gets hot the springs lose some of their force, and a plate that is "
    "near its end begins to slip. You will not get around a new one, so change the bearing too.",
    "I had the same and it was the master cylinder: the pedal did not come all the way up, so that "
    "the plate was never fully closed. A new one cost forty pounds and took an hour.",
)
SHORT = ("Is there oil on it?", "No oil that I can see.", "Thanks, that was it!")
POSTS = [text for pair in zip(LONG, SHORT, strict=True) for text in pair]
ARTICLE = "".join(
    f"<p>{text} The garage on the corner had seen many such cars in the last years.</p>"
    for text in LONG
)


def main_text(body: str) -> str:
    head = "<title>Clutch slips when hot - Drivers' Forum</title>"
    menu = "<nav><ul><li><a href=a>Home</a><li><a href=b>Forum</a><li><a href=c>Log in</a></ul>"
    html = f"<html><head>{head}</head><body>{menu}</nav>{body}<footer><p>Copyright 2020</footer>"
    return main_content(html, lambda _: "en")


def thread(before: str, after: str) -> str:
    """Posts, each between a header and a footer."""
    return "<h1>Clutch slips when hot</h1>" + "".join(
        before.replace("NUMBER", str(number)) + text + after for number, text in enumerate(POSTS)
    )


HEADER = "<div class=head><a href=u>user7</a> Senior Member Mar NUMBER, 2014</div>"
THREADS = {
    "XenForo": (
        f"<article class='message js-post'>{HEADER}<div class=message-main><article "
        "class=message-body><div class=bbWrapper>",
        "</div></article><footer><a href=r>Like</a></footer></div></article>",
    ),
    "Stack Exchange": (
        "<div class=answer><div class=votecell><button>Up</button><div>12</div></div>"
        "<div class=answercell><div class='s-prose js-post-body'><p>",
        f"</p></div>{HEADER}</div></div>",
    ),
    "GitHub": (
        f"<div class=TimelineItem>{HEADER}<table><tr><td class='d-block comment-body "
        "markdown-body js-comment-body'><p>",
        "</p></table></div>",
    ),
    "Hacker News": (
        "<table><tr class='athing comtr'><td class=ind><td class=votelinks><td class=default>"
        f"{HEADER}<br><div class=comment><div class='commtext c00'>",
        "<div class=reply><p><u><a href=r>reply</a></u></p></div></div></div></table>",
    ),
    "old Reddit": (
        f"<div class='thing comment'><div class=entry>{HEADER}<form class=usertext><div "
        "class=usertext-body><div class=md><p>",
        "</p></div></div></form><ul><li><a href=p>permalink</a><li><a href=r>reply</a></ul></div>"
        "</div>",
    ),
    "Discourse": (
        "<div class='topic-body crawler-post'><div class=crawler-post-meta><span class=creator>"
        "user7</span> Senior Member <time>Mar NUMBER, 2014</time></div><div class=post><p>",
        "</p></div></div>",
    ),
    "a forum that nobody knows": (
        f"<div class=row><div class=who>{HEADER}</div><div class=forum-message><p>",
        "</p></div><div class=tools><a href=q>Quote</a> <a href=r>Report</a></div></div>",
    ),
}


@pytest.mark.parametrize("software", THREADS)
def test_every_post_of_a_thread_comes_out(software):
    text = main_text(f"<div class=posts>{thread(*THREADS[software])}</div>")
    assert [post for post in POSTS if post not in text] == []
    if software != "a forum that nobody knows":
        assert "Senior Member" not in text
    assert text.count("Senior Member") <= 1  # above the first post
    for control in ("reply", "permalink", "Quote", "Like"):
        assert control not in text.split()


@pytest.mark.parametrize("body", ["comment-body", "message", "comment_text", "text"])
def test_comments_below_an_article_stay_out(body):
    comments = "".join(
        f"<li class=comment>{HEADER}<div class='{body}'><p>{text}</div>" for text in SHORT * 2
    )
    text = main_text(
        f"<article class=post><h1>Clutch slips when hot</h1>{ARTICLE}</article>"
        f"<div id=comments><h2>6 Comments</h2><ol>{comments}</ol></div>"
    )
    assert "The garage on the corner" in text
    assert [short for short in SHORT if short in text] == []


def test_one_element_named_by_forum_software_makes_no_thread():
    text = main_text(f"<h1>News</h1>{ARTICLE}<div class=bbWrapper>Share it</div>")
    assert "The garage" in text
    assert "Share it" not in text


def test_the_title_of_a_thread_stays_though_it_is_short_and_no_heading():
    posts = thread(*THREADS["Hacker News"]).partition("</h1>")[2]
    body = f"<table><tr><td><a href=x>Clutch slips when hot</a> (example.com)</table>{posts}"
    assert main_text(body).startswith("Clutch slips when hot (example.com)")


def test_a_post_of_tables_of_one_row_is_paragraphs():
    text = main_text(f"<div>{thread(*THREADS['Hacker News'])}</div>")
    assert f"{SHORT[0]}\n\n{LONG[1]}" in text
