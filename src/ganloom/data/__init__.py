"""Data sets: ``open`` a folder, an archive, arrays or a built-in set, ``check`` it, and ``draw`` batches from it.

Images are decoded once to uint8 rows of one shape; batches are float32 NCHW in [-1, 1] on the device.
"""

from ganloom.data.builtin import BUILTIN
from ganloom.data.captioned import Captioned
from ganloom.data.check_report import Report
from ganloom.data.crops import Crops
from ganloom.data.dataset import Data, Facts
from ganloom.data.dataset_check import check
from ganloom.data.full_shape import full_shape
from ganloom.data.images import Images
from ganloom.data.points import Points
from ganloom.data.sources import open, other_half, reopen
from ganloom.data.translation_dataset import Domains

__all__ = [
    "BUILTIN",
    "Captioned",
    "Crops",
    "Data",
    "Domains",
    "Facts",
    "Images",
    "Points",
    "Report",
    "check",
    "full_shape",
    "open",
    "other_half",
    "reopen",
]
