"""Synthetic texts of a text model for each class of labelled texts; `text_augment_report` measures whether they help."""

from ganloom.apps.text_models import class_list, sample_texts
from ganloom.baselines.mle import LanguageModel
from ganloom.core.errors import BadInput
from ganloom.texts.tables import table_text
from ganloom.texts.texts import Texts


def augmented(data: Texts, model: LanguageModel, per_class: int, *, temperature: float = 1.0, seed: int = 0) -> Texts:
    """The synthetic texts of each class of the data.

    Args:
        data: Labelled texts.
        model: A text model with the classes of the data.
        per_class: Synthetic texts of each class.
        temperature: See ``sample_texts``.
        seed: Seed of the texts.

    Raises:
        BadInput: The model lacks a class of the data.
    """
    check_classes(data, model)
    if per_class < 1:
        raise BadInput(f"--per-class must be at least 1, got {per_class}")
    made = sample_texts(model, per_class, temperature=temperature, classes=data.classes, seed=seed)
    kept = [i for i, text in enumerate(made.texts) if text.strip()]
    return made.pick(kept)


def check_classes(data: Texts, model: LanguageModel) -> None:
    """Raise BadInput unless the data have labels, and the model has all of their classes."""
    if data.labels is None:
        raise BadInput(f"{data.name} has no labels; name their column with --label COLUMN")
    known = class_list(model)
    if not known:
        raise BadInput("--with: this model was trained without labels, so its texts have no class")
    missing = [name for name in data.classes if name not in known]
    if missing:
        raise BadInput(f'--with: the model has no class "{missing[0]}"; it has {", ".join(known[:8])}')


def table_of(real: Texts, synthetic: Texts, ending: str) -> bytes:
    """Real and synthetic texts as a table with the columns text, label and source ("real" or "synthetic").

    Args:
        real: The real texts.
        synthetic: The synthetic ones.
        ending: ".csv" or ".jsonl".
    """
    rows = [
        {"text": text, "label": label, "source": name}
        for part, name in ((real, "real"), (synthetic, "synthetic"))
        for text, label in zip(part.texts, part.labels or (), strict=True)
    ]
    return table_text(rows, ending).encode("utf-8", "surrogatepass")
