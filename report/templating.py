"""How templates become HTML: everything in a value is text, and an unknown name is an error."""

import jinja2
from corpusmill.manifests.looking.tables import size_text
from corpusmill.manifests.package_data import package_file
from corpusmill.report.drawing.curves import short
from corpusmill.report.sections.headline import duration


def environment() -> jinja2.Environment:
    """The templates of `report/templates`, with the filters that they share."""
    templates = jinja2.Environment(
        loader=jinja2.FileSystemLoader(package_file("report", "templates")),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    templates.filters.update(
        number=lambda value: f"{value:,}",
        percent=lambda value: f"{100 * value:.1f} %",
        short=short,
        size=size_text,
        duration=duration,
    )
    return templates


def style() -> str:
    """The style of all pages."""
    return package_file("report", "templates", "page.css").read_text("utf-8")
