"""The HTML page of the benchmark."""

from collections.abc import Sequence
from html import escape

from ganloom.bench.robust import results
from ganloom.bench.robust.benchmark import Run
from ganloom.core.names import printable
from ganloom.report import markup
from ganloom.report.results_page import document


def html(runs: Sequence[Run], source: str, notes: Sequence[str]) -> bytes:
    """Build the page: the table, the sentences, and the accuracies of each class."""
    said = "".join(f"<li>{_text(line)}</li>" for line in results.verdicts(runs))
    body = [
        f'<p class="facts">{_text(results.facts(runs, source))}</p>',
        markup.section("accuracies", "Share of the texts that are right", _table(results.table_of(runs))),
        "".join(f'<p class="note">{_text(note)}</p>' for note in notes),
        markup.section(
            "verdicts", "What each defence helps against, in points compared with no defence", f"<ul>{said}</ul>"
        ),
        markup.section("classes", "By class", _table(results.by_class(runs, results.attacks_of(runs)))),
    ]
    return document("Defences of text classifiers against attacks", "\n".join(body))


def _table(rows: Sequence[dict[str, str]]) -> str:
    return markup.table(
        [_text(name) for name in rows[0]], [[_text(cell) for cell in row.values()] for row in rows], True
    )


def _text(value: str) -> str:
    return escape(printable(value))
