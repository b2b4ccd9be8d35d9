"""The tables of a judgement, as rows of cells for a terminal and for HTML, and its verdict in words."""

from ganloom.texts.judge.auc import Auc
from ganloom.texts.judge.judgement import Judgement, Row


def main_rows(judgement: Judgement) -> list[dict[str, str]]:
    """One row a figure, with real, generated and shuffled texts in columns."""
    figures = [_figures(row) for row in judgement.rows]
    return [
        {"figure": name} | {row.name: cells[name] for row, cells in zip(judgement.rows, figures, strict=True)}
        for name in figures[0]
    ]


def damage_rows(judgement: Judgement) -> list[dict[str, str]]:
    """One row for each kind and share of damage that the detector was not trained on."""
    return [
        {
            "damage": row.name,
            "detector AUC": str(row.detector),
            "MAUVE": f"{row.mauve:.3f}",
            "Frechet": f"{row.frechet:.4f}",
        }
        for row in judgement.damaged
    ]


def verdict(judgement: Judgement) -> list[str]:
    """What the figures say, in sentences."""
    real, generated = judgement.row("real"), judgement.row("generated")
    lines = [_told_apart(generated)]
    if generated.copies is not None and real.copies is not None:
        more = generated.copies.long - real.copies.long
        if more > 0.05:
            lines.append(
                f"{generated.copies.long:.0%} of the generated texts copy a run of words from real ones, "
                f"{real.copies.long:.0%} of other real texts do: the generator repeats its training texts."
            )
    if generated.distinct is not None and real.distinct is not None and generated.distinct[1] < 0.8 * real.distinct[1]:
        lines.append(
            f"The generated texts are less varied than real ones: distinct-2 is {generated.distinct[1]:.2f}, "
            f"of real texts {real.distinct[1]:.2f}."
        )
    return lines


def _told_apart(row: Row) -> str:
    told = row.told
    if told is None or told.network is None or told.words is None or told.length_matched is None:
        length = f" The length alone: AUC {told.length}." if told is not None else ""
        return f"Too few texts have equal lengths to train a classifier.{length} The detector: AUC {row.detector}."
    best = max(told.network, told.words, row.detector, key=lambda a: a.value)
    if max(told.network.low, told.words.low, row.detector.low) <= 0.5:
        text = "No classifier tells the generated texts from real ones better than chance"
    else:
        text = f"The generated texts can be told from real ones (AUC up to {best.value:.2f}, with equal lengths)"
    by_length = "; the lengths alone give them away" if told.length.low > 0.6 else ""
    return (
        f"{text}{by_length} (length alone: {told.length.value:.2f}, at equal lengths {told.length_matched.value:.2f})."
    )


def _figures(row: Row) -> dict[str, str]:
    told, copies = row.told, row.copies
    distinct, self_bleu = row.distinct or (0.0, 0.0, 0.0), row.self_bleu or (0.0, 0.0, 0.0)
    return {
        "detector (real texts only), AUC": str(row.detector),
        "classifier, equal lengths, AUC": _auc(told.network if told else None),
        "words and pairs, equal lengths, AUC": _auc(told.words if told else None),
        "length only, AUC": _auc(told.length if told else None),
        "length only, equal lengths, AUC": _auc(told.length_matched if told else None),
        "texts with a partner of equal length": "-" if told is None else f"{told.matched:.0%}",
        "MAUVE": f"{row.mauve:.3f}",
        "Frechet distance": f"{row.frechet:.4f}",
        "distinct-1, -2, -3": ", ".join(f"{value:.3f}" for value in distinct),
        "self-BLEU-2, -3, -4": ", ".join(f"{value:.3f}" for value in self_bleu),
        "BLEU-4 against real texts": "-" if row.bleu is None else f"{row.bleu:.3f}",
        "copies of whole real texts": "-" if copies is None else f"{copies.whole:.1%}",
        "texts with 6 copied words in a row": "-" if copies is None else f"{copies.long:.1%}",
        "4-grams of real texts": "-" if copies is None else f"{copies.overlap:.1%}",
    }


def _auc(value: Auc | None) -> str:
    return "-" if value is None else str(value)
