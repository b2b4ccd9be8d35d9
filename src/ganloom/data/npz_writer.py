"""Write the .npz files in which data sets are saved; `npz_reader` reads them."""

import json
import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganloom.core.errors import BadInput
from ganloom.core.names import as_path
from ganloom.core.output_files import written


def write_npz(path: str | os.PathLike[str], meta: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> None:
    """Write a compressed .npz file.

    It is written under a temporary name and then renamed, so an interrupted save leaves no partial file.

    Args:
        path: the file, ending in .npz.
        meta: metadata, stored as JSON under the key "ganloom".
        arrays: the arrays by key.

    Raises:
        BadInput: the name does not end in .npz, or the file cannot be written.
    """
    target = as_path(path)
    if target.suffix != ".npz":
        raise BadInput(f"{target}: the name must end in .npz")
    if not target.parent.is_dir():
        raise BadInput(f"cannot write {target}: there is no folder {target.parent}")
    try:
        with written(target, overwrite=True) as temporary, open(temporary, "wb") as file:
            # mypy takes **arrays for the keyword allow_pickle
            np.savez_compressed(file, ganloom=np.array(json.dumps(meta)), **arrays)  # type: ignore[arg-type]
    except OSError as error:
        raise BadInput(f"cannot write {target}: {error.strerror or error}") from None
