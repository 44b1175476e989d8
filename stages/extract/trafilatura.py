"""Trafilatura with FineWeb's settings (arXiv:2406.17557), but without `deduplicate`. That setting
remembers the pages before, so text would depend on their order.
"""

import logging


def main_text(html: str, comments: bool = False) -> str:
    import trafilatura

    # Trafilatura logs every page without text as an error.
    logging.getLogger("trafilatura").setLevel(logging.CRITICAL)
    return (
        trafilatura.extract(
            html, favor_precision=True, include_comments=comments, deduplicate=False
        )
        or ""
    )
