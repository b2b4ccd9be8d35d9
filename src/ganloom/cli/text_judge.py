"""ganloom text judge REAL GENERATED ..."""

import dataclasses
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from ganloom.cli.flags import Positional
from ganloom.cli.messages import following, table
from ganloom.cli.parse import parse
from ganloom.core.errors import BadInput
from ganloom.core.names import file_name, printable, word_of
from ganloom.core.output_files import new_file, numbered, write_new
from ganloom.report.progress import Progress
from ganloom.texts.reading import read

if TYPE_CHECKING:
    from ganloom.texts.judge.judgement import Encode


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Judge generated texts against real ones, and write a report with a heat map of each token.

    A detector of replaced words is trained on real texts alone; classifiers learn to tell real from generated texts of equal
    lengths; another classifier sees the length alone. Also MAUVE, Frechet distance, distinct-n, self-BLEU and copies. Every
    figure is printed for other real texts and for real texts with shuffled words, too.
    """

    real: Annotated[str, Positional("REAL")]
    """Real texts, such as the training texts: a file with a text a line, .csv, .jsonl, a folder; at least 200 texts."""
    generated: Annotated[str, Positional("GENERATED")]
    """Generated texts; at least 40."""
    out: str | None = None
    """A new .html file for the report. None: judged-NAME.html in the current folder."""
    n: int = 8000
    """Most real texts to use. Each column has a quarter of them, at most 1000."""
    steps: int = 1500
    """Training steps of the detector; 1500 take one to three minutes on one CPU core."""
    encoder: str | None = None
    """A sentence encoder whose features MAUVE and the Frechet distance use: minilm, or the folder of a BERT model. None: the
    features of the detector."""
    text: str | None = None
    """The column of texts. None: by its name."""
    encoding: str = "utf-8"
    """Encoding of the files."""
    seed: int = 0
    """Seed of the draws and the trainings."""
    device: str = "cpu"
    """cpu, auto, cuda or mps."""
    overwrite: bool = False
    """Replace existing files."""
    json: bool = False
    """Print one JSON object on stdout."""


def run(argv: Sequence[str]) -> None:
    """Read the command line, judge, write the report, print the tables."""
    args = parse(Arguments, argv, "text judge")
    for name, least in (("n", 200), ("steps", 1)):
        if getattr(args, name) < least:
            raise BadInput(f"--{name} {getattr(args, name)}: give at least {least}")
    out = _out(args)
    encode = None if args.encoder is None else _encoder(args.encoder)
    import torch

    from ganloom.core.device import choose_device
    from ganloom.texts.judge import page
    from ganloom.texts.judge.judgement import judge
    from ganloom.texts.judge.table import damage_rows, main_rows, verdict

    with Progress() as progress:
        progress("reading the texts")
        real, generated = (
            read(source, text=args.text if source.lower().endswith((".csv", ".tsv", ".json", ".jsonl", ".ndjson")) else None,
                 label="none", encoding=args.encoding)
            for source in (args.real, args.generated)
        )  # fmt: skip
        found = judge(
            real,
            generated,
            n=args.n,
            steps=args.steps,
            seed=args.seed,
            device=torch.device(choose_device(args.device)),
            encode=encode,
            progress=progress,
        )
    write_new(out, page.html(found).encode("utf-8", "backslashreplace"), overwrite=args.overwrite)
    if args.json:
        print(json.dumps({**found.to_dict(), "encoder": args.encoder, "report": str(out), "verdict": verdict(found)}))
        return
    print(table(main_rows(found)))
    if args.encoder is not None:
        print(f"MAUVE and the Frechet distance are of the features of {printable(args.encoder)}")
    print("damage of kinds that the detector was not trained on:")
    print(table(damage_rows(found)))
    for line in [*(f"note: {note}" for note in found.notes), *verdict(found)]:
        print(printable(line))
    print(f"wrote {out}: the tables, and texts with a colour for each token")
    print(following(["text", "check", word_of(args.generated)]))


def _encoder(name: str) -> "Encode":
    """The function from texts to features of a sentence encoder; its files are read before any work begins."""
    from ganloom.networks.text_encoder import Sentences

    return Sentences(name).encoder.encode


def _out(args: Arguments) -> Path:
    if args.out is not None:
        return new_file(args.out, (".html",), overwrite=args.overwrite)
    name = f"judged-{file_name(Path(args.generated).stem, 'texts')}.html"
    return numbered(Path(name), os.path.lexists)
