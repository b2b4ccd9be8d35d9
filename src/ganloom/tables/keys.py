"""Two tables with a key between them: parents, and children of which each belongs to one parent.

The parents are learned with the number of their children as one more column, by any method. The children are learned together
with the values of their parent, by a Gaussian copula, and drawn given these values. So the number of children, the link, and the
dependence of a child on its parent are kept. Not modelled: that children of one parent resemble each other beyond what the
parent's values say, the order of children, and a parent's dependence on what its children are.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ganloom.core.errors import BadInput
from ganloom.core.names import as_path, shown
from ganloom.core.output_files import new_folder
from ganloom.report.progress import Report, stage
from ganloom.tables import constraints as rules
from ganloom.tables import detect, reading
from ganloom.tables.column import TEXT
from ganloom.tables.copula import Copula
from ganloom.tables.folder import FAMILY as FILE
from ganloom.tables.folder import check_new, read_json, write_json
from ganloom.tables.neural import check_method
from ganloom.tables.preparation import prepare
from ganloom.tables.reading import Source
from ganloom.tables.schema import Frame
from ganloom.tables.table import METHODS, Table
from ganloom.tables.writing import write
from ganloom.training.callbacks import Callback

COUNT = "number of children"
PREFIX = "parent: "
NOTE = (
    "the link, the number of children and the dependence on the parent's values are kept; that children of one parent resemble "
    "each other, and the order of children, are not modelled"
)
ROUNDS = 20


def parse(text: str) -> tuple[str, str, str]:
    """Read ``--parents``: FILE:KEY or FILE:KEY=COLUMN, as (file, key of the parents, column of the children).

    Raises:
        BadInput: The key is missing.
    """
    file, _, key = text.rpartition(":")
    own, _, other = key.partition("=")
    if not file or not own:
        raise BadInput(f"--parents {text}: write FILE:KEY, such as customers.csv:customer_id")
    return file, own, other or own


def is_family(path: str | os.PathLike[str]) -> bool:
    """Whether a folder holds two tables."""
    return (as_path(path) / FILE).is_file()


class Family:
    """Learn two tables with a key between them.

    Args:
        method: How the parents are learned: "copula", "marginals" or "bootstrap"; "auto" is the copula. Children are always
            learned by a copula.
        target: A column of the parents; see ``Table``.
        types: Corrections of types, for columns of both tables.
        seed: Seed of all random numbers.
        steps: See ``Table``.
        minutes: See ``Table``.
        device: See ``Table``.
        progress: Called with (what, done, total).
        console: See ``Table``.

    Attributes:
        notes: What the user should know.
    """

    def __init__(
        self, method: str = "auto", *, target: str | None = None, types: str | Mapping[str, str] | None = None, seed: int = 0,
        steps: int | None = None, minutes: float | None = None, device: str = "cpu", progress: Report = None,
        console: Callback | None = None,
    ) -> None:  # fmt: skip
        self.types, self.seed, self.progress = detect.parse_types(types), seed, progress
        self._options: dict[str, Any] = {
            "target": target, "seed": seed, "steps": steps, "minutes": minutes, "device": device, "progress": progress,
            "console": console,
        }  # fmt: skip
        check_method(method, METHODS)
        if method in ("ctgan", "tvae"):
            raise BadInput(
                f"--method {method} is for one table. With --parents use auto, copula, marginals or bootstrap"
            )
        self.method = "copula" if method == "auto" else method
        self.notes: list[str] = []
        self.parents: Table | None = None
        self.children: Table | None = None
        self.keys = ("", "")
        self.place = 0

    def fit(self, parents: Any, children: Any, key: str, child_key: str | None = None) -> "Family":
        """Learn two tables.

        Args:
            parents: The parents: a path or a pandas frame.
            children: The children.
            key: The column of the parents that is different in each row.
            child_key: The column of the children that holds it. None: of the same name.

        Raises:
            BadInput: A key is missing or repeated, or a child has no parent.
        """
        stage(self.progress, "reading the tables")
        above, below = reading.read(parents), reading.read(children)
        child_key = child_key or key
        self.keys = key, child_key
        rows = _rows_of_parents(above, below, key, child_key)
        counts = np.bincount(rows, minlength=len(above.frame))
        own_types = {name: kind for name, kind in self.types.items() if name in above.frame.columns}
        self._check_types(above, below)
        count = [str(c) for c in counts] if TEXT in above.dtypes else counts
        extended = _with_column(above, COUNT, count, TEXT if TEXT in above.dtypes else "int64")
        self.parents = Table(self.method, types={**own_types, key: "id"}, **self._options)
        if isinstance(above.frame[key].iloc[0], str | int | np.integer):
            self.parents.fit(extended)
        else:
            raise BadInput(f'the key "{key}" must hold texts or whole numbers')
        self.place = list(below.frame.columns).index(child_key)
        self._fit_children(above, below, rows, child_key)
        self.notes = [*self.parents.notes, NOTE]
        return self

    def _check_types(self, above: Source, below: Source) -> None:
        for name in self.types:
            if name not in above.frame.columns and name not in below.frame.columns:
                raise BadInput(f'--types names the column "{name}", which neither table has')

    def _fit_children(self, above: Source, below: Source, rows: Any, child_key: str) -> None:
        """Learn the children together with the values of their parents."""
        pd = reading.pandas()
        assert self.parents is not None and self.parents.preparation is not None
        stage(self.progress, "learning the children")
        context = [c.name for c in self.parents.preparation.schema.modelled if c.name != COUNT]
        values = above.frame[context].iloc[rows].reset_index(drop=True)
        values.columns = [PREFIX + name for name in context]
        own = below.frame.drop(columns=[child_key])
        names = [name for name in below.frame.columns if name != child_key]
        where = {name: i for i, name in enumerate(below.frame.columns)}
        dtypes = [above.dtypes[list(above.frame.columns).index(name)] for name in context]
        joined = Source(
            pd.concat([values, own], axis=1),
            (*(PREFIX + name for name in context), *(below.headers[where[name]] for name in names)),
            (*dtypes, *(below.dtypes[where[name]] for name in names)),
            below.format, below.name, below.notes,
        )  # fmt: skip
        kinds = {c.name: c.kind for c in self.parents.preparation.schema.columns}
        wanted = {PREFIX + name: kinds[name] for name in context if above.dtypes[0] == TEXT}
        wanted |= {name: kind for name, kind in self.types.items() if name in names}
        preparation, frame = prepare(joined, wanted)
        preparation.constraints = [c for c in preparation.constraints if not c.derived.startswith(PREFIX)]
        child = Table("copula", seed=self.seed)
        child.preparation, child.chosen = preparation, "copula"
        child._fitted = Copula(preparation.learned, clusters=1).fit(preparation.reduced(frame), None, self.seed)
        self.children = child

    # ---- sample
    def sample(self, n: int | None = None, *, seed: int = 0) -> tuple[Any, Any]:
        """Draw parents and their children, as two pandas frames.

        Args:
            n: Number of parents. None: as many as the table had.
            seed: Seed of the rows.
        """
        assert self.parents is not None and self.children is not None
        prepared, below = self.parents.preparation, self.children.preparation
        assert prepared is not None and below is not None
        n = prepared.schema.rows if n is None else n
        rng = np.random.default_rng([seed, 9])
        frame = self.parents.draw(n, rng=rng)
        table = prepared.schema.table(frame, n, rng)
        table = table.iloc[:, : table.shape[1] - 1]  # without the number of children
        column = prepared.schema[COUNT]
        counts = frame[COUNT].astype(int) if column.modelled else np.full(n, int(float(column.values[0])))
        rows = np.repeat(np.arange(n), counts)
        known = {PREFIX + name: v[rows] for name, v in frame.items() if name != COUNT}
        children = self._draw_children(known, len(rows), rng)
        drawn = below.schema.table(children, len(rows), rng)
        own = [i for i, c in enumerate(below.schema.columns) if not c.name.startswith(PREFIX)]
        drawn = drawn.iloc[:, own]
        keys = table.iloc[:, prepared.schema.names.index(self.keys[0])].to_numpy()[rows]
        drawn.insert(self.place, self.keys[1], keys, allow_duplicates=True)
        return table, drawn

    def _draw_children(self, known: Frame, count: int, rng: np.random.Generator) -> Frame:
        """Children for the known values of their parents; rows that break a constraint are drawn again."""
        assert self.children is not None and self.children.preparation is not None
        prepared, method = self.children.preparation, self.children._fitted
        if not count:
            return {c.name: np.zeros(0, np.int64 if c.discrete else np.float64) for c in prepared.schema.modelled}
        translated = {c.name: known[c.name] for c in prepared.learned if c.name in known}
        frame: Frame = {}
        left = np.arange(count)
        for _ in range(ROUNDS):
            some = {name: values[left] for name, values in translated.items()}
            drawn = method.complete(some, rng) if some else method.sample(len(left), rng)
            drawn = rules.complete(prepared.constraints, prepared.valid(drawn), prepared.schema)
            if not frame:
                frame = {name: values.copy() for name, values in drawn.items()}
            else:
                for name, values in drawn.items():
                    frame[name][left] = values
            left = np.flatnonzero(~rules.holds(prepared.constraints, frame, prepared.schema))
            if not len(left):
                return frame
        for constraint in prepared.constraints:  # the rest: move the child's value to the bound
            if constraint.kind in ("order", "strict order"):
                a, b = constraint.columns
                broken = frame[a] > frame[b]
                if not b.startswith(PREFIX):
                    frame[b] = np.where(broken, frame[a], frame[b])
                elif not a.startswith(PREFIX):
                    frame[a] = np.where(broken, frame[b], frame[a])
        return frame

    # ---- save and load
    def save(self, out: str | os.PathLike[str]) -> Path:
        """Write both tables into a new folder, and return its path."""
        path = as_path(out)
        check_new(path)
        assert self.parents is not None and self.children is not None
        self.parents.save(path / "parents")
        self.children.save(path / "children")
        described = {"format": 1, "keys": list(self.keys), "place": self.place, "notes": self.notes}
        write_json(path / FILE, described)
        return path

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Family":
        """Read the folder of two tables."""
        folder = as_path(path)
        described = read_json(folder / FILE)
        family = cls()
        family.parents, family.children = Table.load(folder / "parents"), Table.load(folder / "children")
        try:
            family.keys, family.place = (described["keys"][0], described["keys"][1]), int(described["place"])
            family.notes = list(described["notes"])
        except (KeyError, TypeError, IndexError, ValueError):
            raise BadInput(f"{folder / FILE} is damaged. Fit the tables again") from None
        return family


def sample_files(folder: Path, out: Path, n: int | None, seed: int, overwrite: bool) -> list[Path]:
    """Draw two tables and write them as parents and children into a folder; return the files."""
    new_folder(out, overwrite=overwrite)
    family = Family.load(folder)
    files = []
    for name, frame, table in zip(
        ("parents", "children"), family.sample(n, seed=seed), (family.parents, family.children), strict=True
    ):
        assert table is not None and table.preparation is not None
        written = table.preparation.schema.format
        ending = "parquet" if written.get("kind") == "parquet" else "csv"
        headers = tuple(map(str, frame.columns))
        files.append(write(frame, out / f"{name}.{ending}", written, headers, overwrite=overwrite))
    return files


def _rows_of_parents(above: Source, below: Source, key: str, child_key: str) -> Any:
    """The row of the parent of each child."""
    for source, name in ((above, key), (below, child_key)):
        if name not in source.frame.columns:
            raise BadInput(f'{source.name} has no column "{name}": give the key of both tables')
    keys = above.frame[key].tolist()
    place = {value: i for i, value in enumerate(keys)}
    if len(place) < len(keys):
        twice = next(value for value in keys if keys.count(value) > 1)
        raise BadInput(
            f'{above.name}: the key "{key}" has {shown(str(twice))} more than once. It must be different in each row'
        )
    wanted = below.frame[child_key].tolist()
    lost = [value for value in wanted if value not in place]
    if lost:
        empty = sum(not str(value).strip() or value != value for value in lost)
        what = f"such as {shown(str(lost[0]))}" if not empty else f"{empty} of them no value at all"
        raise BadInput(f'{below.name}: {len(lost)} rows have a "{child_key}" that no parent has, {what}. Remove them')
    return np.array([place[value] for value in wanted], np.int64)


def _with_column(source: Source, name: str, values: Any, dtype: str) -> Source:
    pd = reading.pandas()
    frame = source.frame.copy(deep=False)
    frame[name] = pd.Series(list(values), dtype=object if dtype == TEXT else dtype)
    return Source(frame, (*source.headers, name), (*source.dtypes, dtype), source.format, source.name, source.notes)
