"""Import paths of earlier versions: each documented old path leads to the new one, with a DeprecationWarning.

``MOVED`` and ``RENAMED`` are the whole of it. ``install`` adds a finder to ``sys.meta_path`` that is asked only for modules
that do not exist, and that answers for the modules named in ``MOVED``.
"""

import importlib
import importlib.abc
import importlib.machinery
import sys
import warnings
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

MOVED: dict[str, tuple[str, ...]] = {
    "apps.augmented": ("apps.augment_preview",),
    "apps.budget": ("apps.compare_budget",),
    "apps.checkup": ("apps.install_check",),
    "apps.evaluate": ("evaluation.evaluate",),
    "apps.drawn": (
        "apps.latent",
        "evaluation.model_costs",
    ),
    "apps.generate": ("apps.sample",),
    "apps.importing": ("apps.import_weights",),
    "apps.measuring": ("evaluation.measure",),
    "apps.memorise": ("evaluation.nearest_neighbours",),
    "apps.png16": ("imaging.png16",),
    "apps.project": ("apps.projection",),
    "apps.translation": ("evaluation.translator",),
    "data.bitmaps": ("data.font_glyphs",),
    "data.check": (
        "data.check_report",
        "data.duplicates",
        "data.dataset_check",
    ),
    "data.domains": ("data.translation_dataset",),
    "data.files": (
        "augment.policy",
        "data.image_folders",
    ),
    "data.fitting": ("data.resize",),
    "data.listing": ("data.file_index",),
    "data.opening": ("data.sources",),
    "data.order": ("data.sampler",),
    "data.pairs": (
        "data.translation_folders",
        "data.paired_folders",
        "data.label_maps",
    ),
    "data.translations": ("data.translation_sets",),
    "doctor.faults": (
        "doctor.rules.data",
        "doctor.rules.mode_collapse",
    ),
    "doctor.game": ("doctor.rules.balance",),
    "doctor.samples": (
        "doctor.rules.convergence",
        "doctor.rules.image_quality",
    ),
    "doctor.settings": (
        "doctor.rules.settings",
        "doctor.rules.overfitting",
        "penalties",
    ),
    "doctor.symptoms": ("doctor.rules.engine",),
    "images": ("imaging.grid",),
    "metrics.diversity": (
        "metrics.statistics.diversity",
        "metrics.statistics.intra_class",
    ),
    "metrics.exported": ("metrics.extractors.exported",),
    "metrics.extractor": ("metrics.extractors.extractor",),
    "metrics.features": ("metrics.extractors.by_name",),
    "metrics.frechet": ("metrics.statistics.frechet",),
    "metrics.inception": ("metrics.statistics.inception_score",),
    "metrics.inception_net": ("metrics.extractors.inception_net",),
    "metrics.inception_weights": ("metrics.extractors.inception_weights",),
    "metrics.infinity": ("metrics.statistics.infinity",),
    "metrics.intervals": ("metrics.statistics.intervals",),
    "metrics.kernel": ("metrics.statistics.kernel",),
    "metrics.memorisation": ("metrics.statistics.memorisation",),
    "metrics.modes": ("metrics.statistics.modes",),
    "metrics.neighbours": ("metrics.statistics.neighbours",),
    "metrics.nets": ("metrics.extractors.nets",),
    "metrics.pictures": (
        "metrics.images",
        "metrics.extractors.inputs",
    ),
    "metrics.resize": ("metrics.extractors.resize",),
    "metrics.rows": ("metrics.statistics.rows",),
    "metrics.sharpness": ("metrics.statistics.sharpness",),
    "metrics.sliced": ("metrics.statistics.sliced",),
    "metrics.ssim": ("metrics.statistics.ssim",),
    "metrics.task": ("metrics.extractors.task",),
    "metrics.torchscript": ("metrics.extractors.torchscript",),
    "metrics.translation": ("metrics.statistics.translation",),
    "run": ("api",),
    "trainer": (
        "training.trainer",
        "training.ema",
        "training.state",
    ),
    "weights.described": ("weights.pickle_objects",),
    "weights.files": ("weights.file_formats",),
    "weights.reading": ("weights.tensor_reader",),
    "weights.pickled": ("weights.pickle_reader",),
}
"""Old module -> the modules in which its names are now, without "ganloom."."""
RENAMED: dict[str, str] = {
    "weights.pickled:Made": "weights.pickle_reader:Stub",
    "weights.pickled:Machine": "weights.pickle_reader:Unpickler",
    "data.arrays:to_labels": "data.labels:to_labels",
    "apps.project:read_picture": "apps.projection:read_image",
    "apps.sensitivity:picture": "apps.sensitivity:image",
    "data.arrays:read": "data.npz_reader:read",
    "data.builtin:pictures": "data.fashion_mnist:images",
    "data.decode:BadPicture": "data.decode:BadImage",
    "data.domains:chosen": "data.translation_dataset:make_domains",
    "data.fitting:fit_picture": "data.resize:fit_image",
    "data.fitting:kept": "data.resize:kept_share",
    "data.fitting:padding": "data.resize:padded_share",
    "data.listing:is_picture": "data.file_index:is_image",
    "data.order:Alike": "data.sampler:SameLabelSampler",
    "data.order:Order": "data.sampler:EpochSampler",
    "data.stacked:pictures": "data.stacked:images",
    "doctor.faults:labels_fit": "doctor.rules.data:shuffled_labels",
    "doctor.game:growing": "doctor.rules.convergence:growing_weights",
    "doctor.game:oscillating": "doctor.rules.convergence:oscillating_losses",
    "doctor.samples:best_behind": "doctor.rules.image_quality:best_is_behind",
    "doctor.samples:c_ignored": "doctor.rules.mode_collapse:label_ignored",
    "doctor.samples:collapse": "doctor.rules.mode_collapse:mode_collapse",
    "doctor.samples:lost_classes": "doctor.rules.mode_collapse:missing_class",
    "doctor.samples:z_ignored": "doctor.rules.mode_collapse:latent_ignored",
    "doctor.settings:bad_samples": "doctor.rules.convergence:nan_samples",
    "doctor.settings:penalty_off": "doctor.rules.settings:penalty_weight",
    "doctor.settings:slower": "doctor.rules.remedies:lower_rates",
    "doctor.settings:vanishing": "doctor.rules.balance:vanishing_gradients",
    "metrics.pictures:check_pictures": "metrics.images:check_images",
    "trainer:Observer": "training.callbacks:Callback",
}
"""Old "module:name" -> new "module:name", without "ganloom."."""


class MovedModule(ModuleType):
    """A module of an earlier version, whose names are looked up in the new modules.

    It can be called if it has a function of its own last name, such as ``ganloom.data.check``: importing the old module
    puts it in the place of that function.
    """

    def __getattr__(self, name: str) -> Any:
        old = self.__name__.removeprefix("ganloom.")
        if renamed := RENAMED.get(f"{old}:{name}"):
            module, _, name = renamed.partition(":")
            return getattr(importlib.import_module(f"ganloom.{module}"), name)
        if not name.startswith("__"):
            for module in MOVED[old]:
                candidate = importlib.import_module(f"ganloom.{module}")
                if hasattr(candidate, name):
                    return getattr(candidate, name)
        raise AttributeError(f"module {self.__name__} has no attribute {name!r}")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return getattr(self, self.__name__.rpartition(".")[2])(*args, **kwargs)


class MovedFinder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds the modules named in ``MOVED``."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Return a spec for a moved module, None for any other."""
        known = fullname.startswith("ganloom.") and fullname.removeprefix("ganloom.") in MOVED
        return importlib.machinery.ModuleSpec(fullname, self) if known else None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        """Return the stand-in, and say where its names are now."""
        new = " and ".join(f"ganloom.{name}" for name in MOVED[spec.name.removeprefix("ganloom.")])
        warnings.warn(f"{spec.name} has moved to {new}", DeprecationWarning, stacklevel=2)
        return MovedModule(spec.name, f"Moved to {new}.")

    def exec_module(self, module: ModuleType) -> None:
        """Do nothing: names are looked up when they are used."""


def renamed(module: str) -> Callable[[str], Any]:
    """The ``__getattr__`` of a module that is still there and has names in ``RENAMED``.

    Args:
        module: Its ``__name__``.
    """

    def lookup(name: str) -> Any:
        target = RENAMED.get(f"{module.removeprefix('ganloom.')}:{name}")
        if target is None:
            raise AttributeError(f"module {module} has no attribute {name!r}")
        where, _, new = target.partition(":")
        warnings.warn(f"{module}.{name} is now ganloom.{where}.{new}", DeprecationWarning, stacklevel=2)
        return getattr(importlib.import_module(f"ganloom.{where}"), new)

    return lookup


def install() -> None:
    """Make the old import paths work; called once by ``ganloom/__init__.py``."""
    if not any(isinstance(finder, MovedFinder) for finder in sys.meta_path):
        sys.meta_path.append(MovedFinder())
