"""
A run on one page: what it is, how it learned, how well it predicts, and what goes on inside.

    subject.py      the models that a page is about, and the piece of text that they are asked about
    history.py      how a run was made and how it went, from the files in its folder
    scored.py       every token of the text under network and n-gram model: surprisal, rank, best guesses
    losses.py       what those come to: by place, by frequency, by word; calibration
    units.py        what single units of a network follow in the text; gates on the way
    vectors.py      the vectors of the most frequent tokens in the plane
    collected.py    all of that of one model
    charts.py       pictures of it, by matplotlib; drawing.py is how they look
    packed.py       numbers of every token, small enough for a page
    page.py         the page, by jinja2; page.html, page.css and page.js are its parts
    writing.py      `write_report`, what `lmgen report` calls

The folder reads runs and models, and writes one file that needs no other. matplotlib and jinja2 come with the
extra `report` and are imported when a page is made.
"""
