"""What is left out unread never matches."""

from __future__ import annotations

from logferry.search.query import Filter, Literal
from logferry.search.scan.pruning import needed_texts
from tests.search import corpus, oracle, oracle_fields
from tests.search.draw import Drawer
from tests.search.oracle_files import File
from tests.security.amounts import amount, dice

NOW = int(corpus.BEGIN.timestamp() + 86_400) * 10**9


def test_a_line_with_a_field_has_the_texts_it_needs() -> None:
    """For every field and value of the tests, in any case and exactly; and most lines do not have them."""
    random_ = dice("needed texts")
    data = b"".join(corpus.text(kind, random_, 40, corpus.BEGIN) for kind in (corpus.nested, corpus.logfmt))
    file = File("a", "f", 1, data, len(data), NOW)
    drawer, held, ruled_out = Drawer(random_, [file]), 0, 0
    for _ in range(amount("needed_texts", 150, 5000)):
        wanted = drawer._field()
        assert isinstance(wanted, Filter)
        needed = needed_texts(wanted)
        assert needed is not None
        exact = random_.random() < 0.3
        for row in file.rows:
            has_them = oracle.matches(needed, row.data, exact_case=exact)
            if oracle_fields.holds(wanted, row.data, exact_case=exact):
                assert has_them, (wanted, row.data)
                held += 1
            ruled_out += not has_them
    assert held
    assert ruled_out
    assert needed_texts(Filter("level", "", Literal("error"))) is None
