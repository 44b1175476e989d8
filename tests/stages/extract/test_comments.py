"""`comments: keep` takes the comments below an article, and not the form for a new one."""

import pytest
from corpusmill.stages.extract.main_content import main_content

ARTICLE = "".join(
    f"<p>{text} The garage on the corner had seen many such cars in the last years.</p>"
    for text in (
        "The clutch slips after half an hour on the motorway, and only when it is hot outside.",
        "When it gets hot the springs lose some of their force, and the plate begins to slip.",
    )
)
COMMENTS = ("We had the same last year, with a van.", "Thanks for this, it saved us a trip.")
LIST = "".join(
    f"<li class=comment><div class=comment-author><cite>Ann</cite> says:</div><div "
    f"class=comment-content><p>{text}</p></div><div class=reply><a href=r>Reply</a></div></li>"
    for text in COMMENTS
)
FORMS = {
    "WordPress": (
        "<div id=respond class=comment-respond><h3 id=reply-title class=comment-reply-title>Leave "
        "a Reply <small><a rel=nofollow href=c>Cancel reply</a></small></h3><form id=commentform "
        "class=comment-form><p class=comment-notes><span>Your email address will not be published."
        "</span> <span class=required-field-message>Required fields are marked *</span></p><p "
        "class=comment-form-comment><label for=comment>Comment *</label><textarea id=comment>"
        "</textarea></p><p class=comment-form-cookies-consent><input type=checkbox><label>Save my "
        "name, email, and website in this browser for the next time I comment.</label></p></form>"
        "</div>"
    ),
    "closed": "<p class=must-log-in>You must be logged in to post a comment.</p>",
    "plain": (
        "<div class=add-comment><h4>Join the discussion below</h4><form><p>Be kind to each other, "
        "and stay on topic.</p><textarea name=c></textarea><button>Send</button></form></div>"
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_comments_come_out_and_the_form_does_not(form):
    html = (
        "<html><head><title>Clutch slips</title></head><body><article><h1>Clutch slips</h1>"
        f"{ARTICLE}</article><div id=comments class=comments-area><h2>2 thoughts</h2>"
        f"<ol class=comment-list>{LIST}</ol>{FORMS[form]}</div></body></html>"
    )
    text = main_content(html, lambda _: "en", comments=True)
    assert "The garage on the corner" in text
    assert [comment for comment in COMMENTS if comment not in text] == []
    for part in ("Reply", "published", "Required", "Save my", "logged in", "Be kind", "discussion"):
        assert part not in text, part
    assert not set(COMMENTS) & set(main_content(html, lambda _: "en").split("\n\n"))
