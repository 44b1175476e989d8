"""Lines that web pages put around their text: menus, notices, bylines, footers.

`tools.denoise` uses them to spoil clean text. They come from templates, so hardly two are alike.
The phrases are our own. The topics come from the text that is spoilt, so that words alone do not
tell the lines from the text.
"""

import random
import re
from collections.abc import Callable, Sequence

SECTIONS = (
    "Home", "About", "About us", "News", "Blog", "Contact", "Contact us", "Products", "Services",
    "Support", "Help", "FAQ", "Forum", "Community", "Events", "Gallery", "Shop", "Store", "Careers",
    "Jobs", "Team", "Press", "Media", "Downloads", "Documentation", "Docs", "Tutorials",
    "Resources", "Archive", "Sitemap", "Search", "Log in", "Sign in", "Sign up", "Register",
    "My account", "Cart", "Checkout", "Politics", "World", "Business", "Science", "Health",
    "Sports", "Culture", "Travel", "Technology", "Opinion", "Weather", "Video", "Photos",
    "Podcasts", "Recipes", "Reviews", "Books", "Music", "Movies", "Education", "Research",
    "Publications", "People", "Departments", "Library", "Alumni", "Donate", "Partners", "Pricing",
    "Features", "Customers", "Use cases", "Roadmap", "Releases", "Getting started", "Getting help",
    "Terms", "Privacy", "Imprint",
)  # fmt: skip
SITES = (
    "The Daily Observer", "Northgate Tribune", "TechCorner", "Open Notes", "Garden & Home",
    "City Library", "MyTravelBook", "DevHub", "HealthPoint", "Campus News", "StreamWorks",
    "Green Valley Weekly", "Riverside Museum", "CodeKitchen", "Market Watchers", "The Reader",
    "Quick Facts", "Example Inc.", "Bright Ideas Ltd.", "Harbour Press", "Sunrise Media Group",
    "Data Letters", "Wander Far", "The Lab",
)  # fmt: skip
FIRST_NAMES = (
    "Anna", "James", "Maria", "David", "Sofia", "Peter", "Laura", "Thomas", "Elena", "Robert",
    "Nina", "Daniel", "Grace", "Ahmed", "Julia", "Kenji", "Priya", "Lucas", "Emma", "Victor",
    "admin", "editor", "staff", "webmaster",
)  # fmt: skip
LAST_NAMES = (
    "Miller", "Okafor", "Schmidt", "Rossi", "Tanaka", "Patel", "Brown", "Novak", "Silva", "Hansen",
    "Clark", "Dubois", "Kowalski", "Reyes", "Baker", "Lindqvist", "Moore", "Haddad", "Young",
    "Park",
)  # fmt: skip
MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip
NETWORKS = (
    "Facebook", "Twitter", "LinkedIn", "Reddit", "WhatsApp", "Pinterest", "Instagram", "YouTube",
    "Telegram", "Mastodon", "Email", "RSS",
)  # fmt: skip
FIXED = (
    "Skip to content", "Skip to main content", "Skip to navigation", "Back to top",
    "Jump to search", "Toggle navigation", "Menu", "Close", "Loading...", "Please wait...",
    "Advertisement", "ADVERTISEMENT", "Sponsored", "Continue reading", "Read more", "Read more »",
    "Show more", "Load more", "View all", "See also", "Related posts", "Related articles",
    "You may also like", "Most popular", "Recent posts", "Recent comments", "Leave a comment",
    "Leave a reply", "No comments yet", "Be the first to comment", "Comments are closed.",
    "Print this page", "Email this article", "Report an error", "Download PDF", "Add to cart",
    "Add to favourites", "Buy now", "In stock", "Sign up for our newsletter",
    "Subscribe to our newsletter", "Join our mailing list", "Enter your email address", "Follow us",
    "All rights reserved.", "Powered by WordPress", "Powered by Hugo",
    "Privacy policy | Terms of use", "Terms and conditions apply.",
    "Please enable JavaScript to view this page.", "Your browser does not support this video.",
    "Image credit: Shutterstock", "Photo: Getty Images", "Click to enlarge", "Previous post",
    "Next post", "« Previous", "Next »", "Older entries", "Table of contents", "Edit this page",
    "Want to contribute? Edit this page on GitHub", "Report a bug", "Copy link",
    "Language: English", "Share this:", "Like this:", "Rate this article",
    "Was this page helpful? Yes No", "Reply", "Log in to reply", "View cart", "Free shipping",
)  # fmt: skip
COOKIES = (
    "We use cookies to {purpose}.",
    "This site uses cookies to {purpose}. {choice}",
    "{site} and its partners use cookies to {purpose}. {choice}",
    "By using this website you agree to our cookie policy. {choice}",
    "By continuing to browse, you accept the use of cookies to {purpose}.",
    "Cookies help us {purpose}. {choice}",
    "Your privacy matters to us. "
    "We and our partners store information on your device to {purpose}.",
)
PURPOSES = (
    "improve your experience",
    "give you the best experience on our website",
    "analyse traffic",
    "show personalised ads",
    "remember your settings",
    "measure our audience",
    "keep you signed in",
    "personalise content and ads",
)
CHOICES = (
    "Accept all",
    "Accept Reject", "OK", "Got it!", "Learn more", "Accept | Decline | Settings",
    "Manage preferences", "Find out more.", "I agree", "Allow all cookies",
)  # fmt: skip

_WORD = re.compile(r"[A-Za-z][a-z]{3,}")


def boilerplate_line(text: str, rng: random.Random) -> str:
    """One line of boilerplate, or a few short ones. Its topics come from `text`.

    The same `rng` state gives the same line.
    """
    return rng.choice(MAKERS)(_topics(text, rng), rng)


def _topics(text: str, rng: random.Random) -> list[str]:
    words = _WORD.findall(text)
    return [rng.choice(words) for _ in range(8)] if words else list(SECTIONS[:8])


def _several(items: Sequence[str], low: int, high: int, rng: random.Random) -> list[str]:
    return rng.sample(items, rng.randint(low, high))


def _person(rng: random.Random) -> str:
    first = rng.choice(FIRST_NAMES)
    return first if first.islower() else f"{first} {rng.choice(LAST_NAMES)}"


def _date(rng: random.Random) -> str:
    day, month, year = rng.randint(1, 28), rng.randint(1, 12), rng.randint(1998, 2026)
    name = MONTHS[month - 1]
    forms = (
        f"{name} {day}, {year}",
        f"{day} {name} {year}",
        f"{year}-{month:02}-{day:02}",
        f"{day:02}.{month:02}.{year}",
    )
    return rng.choice((*forms, f"{name[:3]} {day}, {year}", f"{month}/{day}/{year}"))


def _title(topics: Sequence[str], rng: random.Random) -> str:
    words = list(topics[: rng.randint(2, 6)])
    return (
        " ".join(words).capitalize()
        if rng.random() < 0.5
        else " ".join(word.capitalize() for word in words)
    )


def _fixed(topics: Sequence[str], rng: random.Random) -> str:
    return rng.choice(FIXED)


def _menu(topics: Sequence[str], rng: random.Random) -> str:
    separator = rng.choice((" | ", " ", " · ", " / ", " - ", "\n", "  ", " • ", "\n* ", "\n- "))
    items = _several(SECTIONS, 3, 8, rng)
    if rng.random() < 0.3:
        items = [item.upper() for item in items]
    start = (
        separator.strip(" ")[1:] + " " if separator.startswith("\n") and len(separator) > 1 else ""
    )
    return start + separator.join(items)


def _breadcrumbs(topics: Sequence[str], rng: random.Random) -> str:
    separator = rng.choice((" > ", " » ", " / ", " › ", " >> "))
    return separator.join(["Home", *_several(SECTIONS[3:], 1, 2, rng), _title(topics, rng)])


def _cookies(topics: Sequence[str], rng: random.Random) -> str:
    form = rng.choice(COOKIES)
    made = form.format(
        purpose=rng.choice(PURPOSES), choice=rng.choice(CHOICES), site=rng.choice(SITES)
    )
    return made


def _share(topics: Sequence[str], rng: random.Random) -> str:
    networks = _several(NETWORKS, 2, 5, rng)
    start = rng.choice(
        (
            "Share on ",
            "Share: ",
            "Share this article: ",
            "Follow us on ",
            "Tweet ",
            "Find us on ",
            "Share this on ",
        )
    )
    return start + rng.choice((" ", ", ", " | ", " / ")).join(networks)


def _footer(topics: Sequence[str], rng: random.Random) -> str:
    mark = rng.choice(("©", "Copyright ©", "Copyright", "(c)"))
    end = rng.choice(
        (
            "All rights reserved.",
            "All Rights Reserved",
            "",
            " | ".join(_several(SECTIONS, 2, 4, rng)),
        )
    )
    return f"{mark} {rng.randint(1998, 2026)} {rng.choice(SITES)} {end}".strip()


def _byline(topics: Sequence[str], rng: random.Random) -> str:
    forms = (
        "Posted by {who} on {when}",
        "By {who} | {when}",
        "{when} by {who}",
        "Written by {who}",
        "Last updated: {when}",
        "Published {when}",
    )
    made = rng.choice(forms).format(who=_person(rng), when=_date(rng))
    ends = (
        "",
        "",
        f" | {rng.randint(0, 90)} comments",
        f" - {rng.randint(1, 20)} min read",
        f" in {rng.choice(SECTIONS)}",
    )
    return made + rng.choice(ends)


def _related(topics: Sequence[str], rng: random.Random) -> str:
    start = rng.choice(
        (
            "Read more: ",
            "Related: ",
            "See also: ",
            "Next: ",
            "Previous: ",
            "Read next: ",
            "More on ",
            "Continue reading: ",
        )
    )
    return start + _title(topics, rng)


def _tags(topics: Sequence[str], rng: random.Random) -> str:
    words = [topic.lower() for topic in topics[: rng.randint(2, 6)]]
    form = rng.choice(("Tags: {}", "Filed under: {}", "Categories: {}", "Tagged {}", "Topics: {}"))
    return (
        form.format(rng.choice((", ", " ", " | ")).join(words))
        if rng.random() < 0.8
        else " ".join(f"#{w}" for w in words)
    )


def _counts(topics: Sequence[str], rng: random.Random) -> str:
    n, m = rng.randint(0, 999), rng.randint(2, 60)
    forms = (
        f"{n} comments", f"Comments ({n})", f"{n} shares", f"{n} views",
        f"Page {rng.randint(1, m)} of {m}", f"{n} likes", f"Views: {n}", f"{m} replies",
        f"Showing 1-{m} of {n + m} results", f"Viewed {n} times", f"{m} minutes ago",
        f"1 2 3 4 ... {m}",
    )  # fmt: skip
    return rng.choice(forms)


def _newsletter(topics: Sequence[str], rng: random.Random) -> str:
    what = rng.choice(
        (
            "our newsletter",
            "our weekly digest",
            "email alerts",
            f"news about {topics[0].lower()}",
            f"the {rng.choice(SITES)} newsletter",
        )
    )
    return rng.choice(
        (
            f"Sign up for {what}",
            f"Subscribe to {what} today!",
            f"Enter your email to get {what}.",
            f"Never miss an update: get {what}",
        )
    )


MAKERS: tuple[Callable[[Sequence[str], random.Random], str], ...] = (
    _fixed,
    _fixed,
    _fixed,
    _menu,
    _menu,
    _breadcrumbs,
    _cookies,
    _share,
    _footer,
    _byline,
    _related,
    _tags,
    _counts,
    _newsletter,
)
