"""Every name that was documented under an old import path is still found there, with a deprecation warning."""

import importlib
import importlib.util
import json
import warnings
from pathlib import Path

import pytest

import ganloom
from ganloom.core import old_import_paths

NAMES: dict[str, list[str]] = json.loads((Path(__file__).parent / "figures" / "api_names.json").read_text())
"""Modules and names of the API page before the packages."""
REMOVED = {
    "ganloom.losses:altered": "Loss.with_label_smoothing and Loss.with_top_k return a changed loss",
    "ganloom.data.files:survey": "default_shape.shape_of_files(listing, default_size)",
    "ganloom.metrics.intervals:spreads": "the functions of metrics.statistics.intervals",
    "ganloom.metrics.intervals:index_spreads": "the functions of metrics.statistics.intervals",
}
"""Names that have no equal: what to use is in CHANGELOG.md."""


@pytest.mark.parametrize("module", NAMES)
def test_documented_names_are_found_under_their_old_path(module: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        found = importlib.import_module(module)
        for name in NAMES[module]:
            if f"{module}:{name}" not in REMOVED:
                assert getattr(found, name) is not None, f"{module}.{name}"


def test_an_old_path_warns_and_names_the_new_one() -> None:
    import sys

    sys.modules.pop("ganloom.trainer", None)
    with pytest.warns(DeprecationWarning, match=r"ganloom\.trainer has moved to ganloom\.training"):
        from ganloom.trainer import Trainer  # type: ignore[import-not-found]
    assert Trainer is importlib.import_module("ganloom.training.trainer").Trainer


def test_a_module_with_the_name_of_a_function_does_not_hide_it() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        importlib.import_module("ganloom.data.check")
    assert ganloom.data.check("fashion-10k").count > 0


def test_unknown_modules_and_names_stay_errors() -> None:
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("ganloom.nowhere")
    with pytest.raises(AttributeError), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        importlib.import_module("ganloom.run").nothing  # noqa: B018


def test_the_table_names_modules_that_exist() -> None:
    for old, new in old_import_paths.MOVED.items():
        assert importlib.util.find_spec(f"ganloom.{new[0]}"), old
    for target in old_import_paths.RENAMED.values():
        module, _, name = target.partition(":")
        assert hasattr(importlib.import_module(f"ganloom.{module}"), name), target
