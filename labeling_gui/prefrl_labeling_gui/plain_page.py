"""Pages of one sentence, for those who cannot see more."""

from html import escape

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
{onward}<title>{title}</title>
<link rel="icon" href="/static/icon.svg">
<link rel="stylesheet" href="/static/style.css">
</head>
<body>
<main class="message">
<h1>{title}</h1>
<p>{sentence}</p>
</main>
</body>
</html>
"""


def plain_page(title: str, sentence: str, *, onward: str | None = None) -> str:
    """Return a page that says one thing.

    Args:
        title: Heading, as text.
        sentence: What it says, as text.
        onward: Address to which browsers go on at once.
    """
    refresh = "" if onward is None else f'<meta http-equiv="refresh" content="0; url={escape(onward)}">\n'
    return _PAGE.format(title=escape(title), sentence=escape(sentence), onward=refresh)
