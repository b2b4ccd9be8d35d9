"""The HTML report of a judgement: the tables, and texts with a colour for each token that the detector finds out of place."""

from collections.abc import Sequence
from html import escape
from importlib.resources import files

from ganloom.core.names import printable
from ganloom.report import markup
from ganloom.texts.judge.judgement import Judgement, Scored
from ganloom.texts.judge.table import damage_rows, main_rows, verdict

STYLE = """
.heat p { margin: 6px 0; line-height: 1.9; overflow-wrap: anywhere; }
.heat span { padding: 1px 2px; border-radius: 3px; }
.heat small { color: var(--soft); margin-right: 8px; font-variant-numeric: tabular-nums; }
"""


def html(judgement: Judgement) -> str:
    """Return the page. It loads nothing and has no scripts."""
    style = files("ganloom.report").joinpath("page.css").read_text(encoding="utf-8") + STYLE
    title = f"{judgement.generated} judged against {judgement.real}"
    worst, others = judgement.texts[:20], judgement.texts[20:]
    body = "\n".join(
        [
            f'<p class="brand">ganloom text judge</p><h1>{_text(title)}</h1>',
            f'<p class="facts">{judgement.count} texts in each column; the detector was trained on '
            f"{judgement.trained_on} other real texts and on the damage {_text(', '.join(judgement.trained_kinds))}</p>",
            *[f'<p class="reason">{_text(line)}</p>' for line in verdict(judgement)],
            *[f'<p class="note">{_text(note)}</p>' for note in judgement.notes],
            markup.section("figures", "Figures", _table(main_rows(judgement))),
            markup.section("damage", "Damage that the detector was not trained on", _table(damage_rows(judgement))),
            markup.section("worst", "Generated texts: the most suspicious", _heat(worst)),
            markup.section("others", "Generated texts: others, at random", _heat(others)),
            markup.section("real", "Real texts, for comparison", _heat(judgement.real_texts)),
        ]
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\">\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{_text(title)}</title>\n"
        f'<link rel="icon" href="data:,">\n<style>{style}</style>\n</head>\n<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n'
    )


def _table(rows: Sequence[dict[str, str]]) -> str:
    if not rows:
        return ""
    return markup.table(
        [_text(name) for name in rows[0]], [[_text(cell) for cell in row.values()] for row in rows], True
    )


def _heat(texts: Sequence[Scored]) -> str:
    if not texts:
        return ""
    return '<div class="heat card">' + "".join(map(_line, texts)) + "</div>"


def _line(text: Scored) -> str:
    parts = [
        f'<span title="{probability:.2f}" style="background: rgba(217, 60, 30, {0.85 * probability:.2f})">{_text(token)}</span>'
        for token, probability in zip(text.tokens, text.probabilities, strict=False)
    ]
    parts += [_text(token) for token in text.tokens[len(text.probabilities) :]]
    return f"<p><small>{text.score:.2f}</small>{' '.join(parts)}</p>"


def _text(value: str) -> str:
    return escape(printable(value))
