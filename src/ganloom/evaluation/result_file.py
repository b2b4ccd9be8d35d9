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
    return name, (
        f"{data.name} ({len(data)} rows of {shape}) is not what this run was trained on ({recorded.get('name')}): the result is"
        f" for {name}, and {OWN} stays as it is"
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
