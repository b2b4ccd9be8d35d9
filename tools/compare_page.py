"""Copy the table and the image of `ganloom compare --budget` into docs/: python tools/compare_page.py FOLDER"""

import shutil
import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parent.parent / "docs"
BEGIN, END = "<!-- table: written by tools/compare_page.py -->\n", "<!-- end of table -->\n"


def main(folder: Path) -> None:
    """Replace the table in docs/compare.md and its image with those of ``folder``."""
    page = DOCS / "compare.md"
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    table = (folder / "compare.md").read_text(encoding="utf-8")
    page.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}", encoding="utf-8")
    shutil.copyfile(folder / "compare.png", DOCS / "images" / "compare.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
