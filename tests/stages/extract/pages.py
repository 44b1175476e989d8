"""The whole text of a page, without a choice of main content."""

from corpusmill.stages.extract.main_content import blocks_of
from corpusmill.stages.extract.page.page import TITLE
from corpusmill.stages.extract.rendering import rendered


def text_of(html: str) -> str:
    page = blocks_of(html)
    return rendered(page.text, page.blocks, page.elements, page.blocks[:, TITLE] == 0)
