"""Data sets: ``open`` anything (a folder, an archive, arrays, a built-in name) and ``draw`` batches from it.

Images are decoded once into a uint8 store of one shape; batches are float32 NCHW in [-1, 1] on the device.
"""

from ganloom.data.builtin import BUILTIN
from ganloom.data.dataset import Data, Facts
from ganloom.data.dataset_check import Report, check
from ganloom.data.images import Images
from ganloom.data.points import Points
from ganloom.data.sources import open, other_half, reopen
from ganloom.data.translation_dataset import Domains

__all__ = ["BUILTIN", "Data", "Domains", "Facts", "Images", "Points", "Report", "check", "open", "other_half", "reopen"]
