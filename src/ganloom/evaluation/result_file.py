"""Which file of a run folder holds a measurement: metrics.json for the run's own data, another file for other data."""

import copy
from typing import Any

from ganloom import data as datasets
from ganloom.core.names import file_name

OWN = "metrics.json"


def result_file(recorded: Any, data: datasets.Data, labels: Any = None) -> tuple[str, str]:
    """Choose the file for a measurement.

    Args:
        recorded: The entry "data" of the run's config.json.
        data: The data that the run is measured on.
        labels: As for ``evaluate``; False: labels are ignored.

    Returns:
        ("metrics.json", "") for the images that the run was trained on. Otherwise a name with the data's name and the start of
        its fingerprint, and a sentence for the user.
    """
    if not isinstance(recorded, dict) or _same_rows(recorded, data, labels):
        return OWN, ""
    name = f"metrics-{file_name(data.name, 'data')}-{data.fingerprint[:8]}.json"
    shape = " x ".join(map(str, data.shape))
    what = "images" if data.kind == "images" else "rows"
    notice = (
        f"measured on {data.name} ({len(data)} {what} of {shape}), not on the training data of this run "
        f"({recorded.get('name')}); the result belongs to {name}, and {OWN} is not changed"
    )
    if "held_out" in recorded and _same_place(recorded, data):
        notice += f". {data.name} contains the training images: leave DATA out to measure on the {recorded['held_out']} held out"
    return name, notice


def _same_place(recorded: dict[str, Any], data: datasets.Data) -> bool:
    """Whether the data were opened from the folder or file that the run's data came from."""
    source = recorded.get("source")
    return (
        isinstance(source, dict) and source.get("source") is not None and source["source"] == data.source.get("source")
    )


def _same_rows(recorded: dict[str, Any], data: datasets.Data, labels: Any) -> bool:
    """Whether the data have the rows of the training data. Their flips do not matter, nor labels that are ignored."""
    source = recorded.get("source")
    other_flip = copy.copy(data)
    other_flip.flip = bool(source.get("flip")) if isinstance(source, dict) else data.flip
    other_flip._fingerprint = None
    if recorded.get("fingerprint") in (data.fingerprint, other_flip.fingerprint):
        return True
    return labels is False and (data.name, len(data)) == (recorded.get("name"), recorded.get("size"))
