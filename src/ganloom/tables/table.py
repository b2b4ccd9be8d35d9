"""``Table``: learn a table and sample synthetic rows, in the manner of scikit-learn; and its folder."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np

from ganloom import api
from ganloom.core.errors import BadInput
from ganloom.core.names import as_path, command_line, word_of
from ganloom.core.output_files import replace_file
from ganloom.report.progress import Report, stage
from ganloom.tables import choose, comparison, conditions, differential_privacy, reading, saving, utility
from ganloom.tables.comparison import Comparison
from ganloom.tables.copula import Copula
from ganloom.tables.folder import (
    ARRAYS,
    FILE,
    FORMAT,
    check_new,
    compares,
    continued_by_resume,
    describe,
    read_json,
    write_json,
)
from ganloom.tables.marginals import Bootstrap, Marginals
from ganloom.tables.neural import Neural, Training, check_method
from ganloom.tables.preparation import Preparation, prepare
from ganloom.tables.schema import Frame
from ganloom.training.callbacks import Callback

METHODS = ("auto", "copula", "ctgan", "tvae", "marginals", "bootstrap")
FEWEST_ROWS = 30
"""With fewer rows, a note says that they are too few."""
FEWEST_FOR_NETWORKS = 200
"""With fewer rows, "auto" does not train networks: their score on so few held-out rows would be chance."""


class Table:
    """Learn a table and sample synthetic rows.

    Args:
        method: "auto" (compare the others on held-out rows and take the best), "copula", "ctgan", "tvae", "marginals"
            (independent columns), or "bootstrap" (copies of the rows: no privacy).
        target: The column that models will predict; classes of it are kept apart by the copula. None: guessed.
        types: Corrections of the types: {"zip": "category"} or "zip=category,age=integer".
        seed: Seed of all random numbers.
        steps: Training steps of a network. None: 300 epochs, at least 3,000 and at most 10,000 steps.
        minutes: Time limit of a training in minutes.
        device: "auto", "cpu", "cuda" or "mps", for networks.
        out: A new folder in which everything is saved. None: nothing is written; see ``save``.
        held_out: Share of the rows that are not learned, so that ``report`` can measure privacy with them.
        progress: Called with (what, done, total).
        console: The callback that shows the training of a network.
        epsilon: Train ctgan or tvae with differential privacy of at most this epsilon; see docs/tables.md. None: without.
        delta: The delta of differential privacy. None: 1e-5, or a tenth of 1 / rows where that is less.
        options: Settings of the recipe ctgan or tvae, such as ``pac``.

    Attributes:
        preparation: The types and constraints, after ``fit``.
        chosen: The name of the method that is used.
        choice: The scores of all methods that "auto" compared.
        notes: What the user should know, one sentence each.
        privacy: (epsilon, delta) and the settings of differential privacy by name; None: there is none.
    """

    def __init__(
        self,
        method: str = "auto",
        *,
        target: str | None = None,
        types: str | Mapping[str, str] | None = None,
        seed: int = 0,
        steps: int | None = None,
        minutes: float | None = None,
        device: str = "cpu",
        out: str | os.PathLike[str] | None = None,
        held_out: float = 0.0,
        progress: Report = None,
        console: Callback | None = None,
        epsilon: float | None = None,
        delta: float | None = None,
        **options: Any,
    ) -> None:
        check_method(method, METHODS)
        private = differential_privacy.target_of(method, epsilon, delta, minutes)
        if not 0 <= held_out < 1:
            raise BadInput(f"--held-out must be a share of the rows in [0, 1), got {held_out}")
        if steps is not None and steps < 1:
            raise BadInput(f"--steps must be at least 1, got {steps}")
        self.method, self.target, self.types, self.seed = method, target, types, seed
        self._asked_target = target
        self._data: str | None = None
        self.out = None if out is None else as_path(out)
        self.held_out, self.progress = held_out, progress
        self.training = Training(steps, minutes, device, console, progress, options, private)
        self.preparation: Preparation | None = None
        self.chosen = ""
        self.choice: dict[str, Any] = {}
        self.notes: list[str] = []
        self.held_rows: list[int] = []
        self.privacy: dict[str, Any] | None = None
        self._fitted: Any = None

    # ---- fit
    def fit(self, data: Any) -> Self:
        """Learn a table.

        Args:
            data: The path of a CSV or Parquet file, a pandas frame, or what ``pandas.DataFrame`` takes.

        Returns:
            The table itself.

        Raises:
            BadInput: The data are no table, or an argument does not fit them.
            KeyboardInterrupt: Ctrl-C was pressed. With ``out``, the message says how to continue.
        """
        if self.out is not None and not (self.method == "auto" and compares(self.out)):
            check_new(self.out)
        self._data = str(data) if isinstance(data, str | os.PathLike) else None
        if self.training.private is not None:
            differential_privacy.check_extra()
        stage(self.progress, "reading the table")
        source = reading.read(data)
        stage(self.progress, "finding types and constraints")
        self.preparation, frame = prepare(source, self.types, self.target, self.training.private is None)
        self.notes = list(self.preparation.notes)
        if self.preparation.schema.rows < FEWEST_ROWS:
            count = self.preparation.schema.rows
            self.notes.append(
                f"{count} row{'s' * (count != 1)}: too few to learn a table from; synthetic rows repeat much of the "
                "data, and are not private"
            )
        learned = self.preparation.reduced(frame)
        columns = self.preparation.learned
        self.target = utility.guess_target(columns, self.target)
        if self.held_out:
            learned = self._hold_out(learned, len(source.frame))
        if not columns:
            self.chosen = "copula"
            self._fitted = Copula([])
            self.notes.append("no column has to be learned: all are constant, empty, or made anew")
        else:
            self._fit(learned, len(next(iter(learned.values()))))
        if self.out is not None:
            self._write(self.out, "finished")
        return self

    def _hold_out(self, frame: Frame, rows: int) -> Frame:
        order = np.random.default_rng([self.seed, 3]).permutation(rows)
        count = min(max(1, round(self.held_out * rows)), rows - 1)
        self.held_rows = sorted(order[:count].tolist())
        self.notes.append(f"{count} of {rows} rows are held out: no method learns them")
        kept = np.setdiff1d(np.arange(rows), self.held_rows)
        return {name: values[kept] for name, values in frame.items()}

    def _fit(self, frame: Frame, rows: int) -> None:
        assert self.preparation is not None
        columns = self.preparation.learned
        self.chosen = self.method
        if self.method == "auto":
            with continued_by_resume(self.out, "the comparison of methods"):
                self.chosen = self._choose(frame, rows)
        if self.chosen not in ("ctgan", "tvae"):
            stage(self.progress, f"learning all rows with the method {self.chosen}")
            self._fitted = self._new(self.chosen)().fit(frame, self.target, self.seed)
            if self.chosen == "bootstrap":
                self.notes.append("bootstrap copies rows of the table: its output is not private")
            return
        network = Neural(self.chosen, columns, self.training)
        if self.out is None:
            with continued_by_resume(None):
                self._fitted = network.fit(frame, self.target, self.seed)
            self._say_privacy(network)
            return
        data = network.encode(frame, self.seed)
        self._fitted = network
        self._say_privacy(network)
        self._write(self.out, "training")
        with continued_by_resume(self.out):
            network.train(data, self.out / self.chosen, self.seed)

    def _say_privacy(self, network: Neural) -> None:
        if network.privacy is not None:
            self.privacy = network.privacy
            self.notes.append(differential_privacy.sentence(self.privacy))

    def _choose(self, frame: Frame, rows: int) -> str:
        assert self.preparation is not None
        if rows < choose.FEWEST_ROWS:
            self.notes.append(f"{rows} rows are too few to compare methods on held-out rows: the copula is used")
            return "copula"
        names = ["copula", "marginals", "tvae", "ctgan"] if rows >= FEWEST_FOR_NETWORKS else ["copula", "marginals"]
        if rows < FEWEST_FOR_NETWORKS:
            self.notes.append(f"{rows} rows are too few for networks to be compared; --method ctgan trains one anyway")
        columns = self.preparation.learned
        known = Comparison(self.out, self._arguments(), columns, frame)
        best, scores, refused = choose.choose(
            {name: self._new(name, known.run_of(name)) for name in names}, columns, frame, self.target, self.seed, self.progress,
            self.preparation.valid, known,
        )  # fmt: skip
        self.choice = {name: vars(found) for name, found in scores.items()}
        self.notes += [f"{name} is left out: {reason}" for name, reason in refused.items()]
        self.notes.append(choose.sentence(best, scores))
        if "ctgan" in scores:
            self.notes.append(choose.whether_gan_helps({name: found.total for name, found in scores.items()}))
        return best

    def _arguments(self) -> dict[str, Any]:
        """The arguments with which ``resume`` repeats this call, as JSON values."""
        how = self.training
        return {
            "data": None if self._data is None else os.path.abspath(os.path.expanduser(self._data)), "method": self.method,
            "target": self._asked_target, "types": self.types if isinstance(self.types, str | None) else dict(self.types),
            "seed": self.seed, "steps": how.steps, "minutes": how.minutes, "device": how.device, "held_out": self.held_out,
            "options": how.options,
        }  # fmt: skip

    def _new(self, name: str, folder: Path | None = None) -> Callable[[], Any]:
        """A function that returns a new method; a network keeps its training in ``folder``."""
        assert self.preparation is not None
        columns = self.preparation.learned
        if name in ("ctgan", "tvae"):
            return lambda: Neural(name, columns, self.training, folder)
        kinds: dict[str, Any] = {"copula": Copula, "marginals": Marginals, "bootstrap": Bootstrap}
        return lambda: kinds[name](columns)

    # ---- sample
    def sample(self, n: int | None = None, *, where: conditions.Where = None, seed: int = 0) -> Any:
        """Draw synthetic rows.

        Args:
            n: Number of rows. None: as many as the table had.
            where: Conditions: "income=high", ["age>=30", "city=Rome|Paris"] or {"income": "high"}.
            seed: Seed of the rows.

        Returns:
            A pandas frame with the columns of the table.

        Raises:
            BadInput: ``fit`` was not called, or a condition does not fit.
        """
        prepared = self._prepared()
        n = prepared.schema.rows if n is None else n
        if not isinstance(n, int | np.integer) or isinstance(n, bool) or n < 1:
            raise BadInput(f"the number of rows must be a whole number of at least 1, got {n}")
        rng = np.random.default_rng([seed, 7])
        frame = self.draw(n, where=where, rng=rng) if prepared.learned else {}
        return prepared.schema.table(frame, n, rng)

    def draw(self, n: int, *, where: conditions.Where = None, rng: np.random.Generator) -> Frame:
        """Draw synthetic rows as numbers; see ``sample``."""
        return self._prepared().draw(n, self._fitted.sample, where, rng)

    def _prepared(self) -> Preparation:
        if self.preparation is None or self._fitted is None:
            raise BadInput("this table has learned nothing yet: call fit first")
        return self.preparation

    # ---- save and load
    def save(self, out: str | os.PathLike[str]) -> Path:
        """Write everything that ``sample`` needs into a new folder, and return its path. A network needs ``out`` in ``Table``.

        Raises:
            BadInput: The folder is not empty, or nothing was learned.
        """
        path = as_path(out)
        self._prepared()
        check_new(path)
        if isinstance(self._fitted, Neural):
            raise BadInput(f"a {self.chosen} is saved while it trains: use Table(method, out=FOLDER)")
        self._write(path, "finished")
        return path

    def _write(self, path: Path, state: str) -> None:
        """Write table.json and table.safetensors."""
        import safetensors.numpy

        prepared = self._prepared()
        path.mkdir(parents=True, exist_ok=True)
        values, arrays = saving.state(self._fitted)
        arrays = {f"method/{key}": value for key, value in arrays.items()}
        arrays |= {f"donors/{i}": prepared.donors[name] for i, name in enumerate(prepared.donors)}
        described = {
            "format": FORMAT, "kind": "ganloom table", "state": state, "chosen": self.chosen, "fitted": values,
            "donors": list(prepared.donors), "preparation": prepared.to_dict(), "target": self.target, "seed": self.seed,
            "choice": self.choice, "notes": self.notes, "held_rows": self.held_rows, "asked": self.method,
            "privacy": self.privacy,
        }  # fmt: skip
        replace_file(path / ARRAYS, safetensors.numpy.save({k: np.ascontiguousarray(v) for k, v in arrays.items()}))
        write_json(path / FILE, described)
        comparison.remove(path)

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, device: str = "cpu") -> "Table":
        """Read the folder of a table.

        Raises:
            BadInput: There is no such folder, it is damaged, or its training is not finished.
        """
        import safetensors.numpy

        folder = as_path(path)
        described = describe(folder)
        if described["state"] != "finished":
            again = command_line(["ganloom", "resume", word_of(folder)])
            raise BadInput(f"the training in {folder} is not finished. Continue it with `{again}`")
        table = cls(target=described["target"], seed=int(described["seed"]), device=device)
        try:
            arrays = safetensors.numpy.load_file(folder / ARRAYS)
            donors = {name: arrays[f"donors/{i}"] for i, name in enumerate(described["donors"])}
            table.preparation = Preparation.from_dict(described["preparation"], donors)
            own = {key.removeprefix("method/"): v for key, v in arrays.items() if key.startswith("method/")}
            table._fitted = saving.restored(table.preparation.learned, described["fitted"], own, folder, table.training)
        except (OSError, KeyError, ValueError, TypeError) as error:
            if isinstance(error, BadInput):
                raise
            raise BadInput(f"{folder} is damaged ({type(error).__name__}: {error}). Fit the table again") from None
        table.chosen, table.choice = described["chosen"], described["choice"]
        table.notes, table.held_rows, table.method = described["notes"], described["held_rows"], described["asked"]
        table.privacy = described.get("privacy")
        return table


def resume(path: str | os.PathLike[str], *, console: Callback | None = None, progress: Report = None) -> Table:
    """Continue the training of a table that was stopped.

    Args:
        path: Its folder.
        console: The callback that shows the progress of the training.
        progress: Called with (what, done, total).

    Raises:
        BadInput: There is nothing to continue.
    """
    folder = as_path(path)
    if compares(folder):
        given = comparison.arguments_of(folder)
        data, options = given.pop("data"), given.pop("options")
        return Table(**given, **options, out=folder, console=console, progress=progress).fit(data)
    described = describe(folder)
    if described["state"] == "finished":
        raise BadInput(
            f"{folder} is finished. Draw rows with `{command_line(['ganloom', 'table', 'sample', word_of(folder)])}`"
        )
    run = folder / str(described["chosen"])
    if not (run / "config.json").is_file():
        raise BadInput(f"{folder} ended before its training began. Remove it, and run `ganloom table fit` again")
    if read_json(run / "run.json").get("state") != "finished":
        with continued_by_resume(folder):
            api.resume(run, console=console or Callback(), progress=progress)
    write_json(folder / FILE, described | {"state": "finished"})
    return Table.load(folder)
