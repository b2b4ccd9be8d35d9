"""Which files are images: by their ending, by their first bytes, and files that look like images but cannot be read."""

import functools
import os
import re
from collections import defaultdict
from collections.abc import Iterable

from PIL import Image, features

EXTENSIONS = frozenset(
    ".png .apng .jpg .jpeg .jpe .jfif .webp .bmp .dib .gif .tif .tiff .ppm .pgm .pbm .pnm .pfm .tga .ico"
    " .jp2 .j2k .jpx .avif".split()
)
"""Files with these endings are images that Pillow reads."""
HEIF_EXTENSIONS = frozenset(".heic .heif .hif .heics .heifs".split())
"""Files with these endings are images that the extra ``heif`` reads."""

NEEDS_HEIF = 'a HEIC file: pip install "ganloom[heif]" to read it'
_NEEDS_AVIF = "an AVIF file, which this version of Pillow does not read: pip install -U pillow"

_LEFT_OUT = (
    (
        "a camera raw file: convert it to JPEG, PNG or TIFF first",
        ".nef .nrw .cr2 .cr3 .crw .arw .srf .sr2 .dng .raf .orf .rw2 .rwl .pef .srw .x3f .3fr .fff .iiq .kdc .dcr .mrw"
        " .erf .mef .mos .gpr",
    ),
    (
        "a video: save its frames as images first, such as with ffmpeg -i VIDEO %06d.png",
        ".mp4 .m4v .mov .avi .mkv .webm .wmv .mpg .mpeg .flv .3gp .mts .m2ts .ogv",
    ),
    (
        "a drawing or a document, not an image of pixels: export it as PNG first",
        ".psd .psb .xcf .kra .ora .clip .svg .svgz .ai .eps .ps .pdf .cdr .wmf .emf .djvu .sketch .afphoto",
    ),
    (
        "an image format that is not read: convert it to PNG or TIFF first",
        ".jxl .jxr .wdp .hdp .exr .hdr .rgbe .dds .ktx .pcx .sgi .rgb .ras .sun .xbm .xpm .qoi .flif .bpg .pic .pict"
        " .cur .icns .jls .jpm .mng .dpx .cin .fits .fit .fts .dcm .dicom .nii .mha .mhd .nrrd .czi .lif .nd2 .svs .ndpi",
    ),
)
_REASONS = {ending: reason for reason, endings in _LEFT_OUT for ending in endings.split()}

_OTHER_FILES = frozenset(
    ".txt .json .jsonl .ndjson .csv .tsv .xml .yaml .yml .toml .md .rst .html .htm .css .js .py .pyc .ipynb .sh .bat .ini"
    " .cfg .conf .log .npy .npz .pt .pth .pkl .pickle .safetensors .ckpt .onnx .h5 .hdf5 .mat .parquet .arrow .feather .db"
    " .sqlite .lmdb .mdb .zip .tar .gz .tgz .bz2 .xz .7z .rar .doc .docx .xls .xlsx .ppt .pptx .odt .rtf .tex .bib .lnk .url"
    " .lock .wav .mp3 .flac .ogg .m4a .obj .ply .stl .glb .gltf .mtl .xmp .aae .thm"
    " .srt .vtt .ttf .otf .c .h .cpp .java .rs".split()
)
"""Files with these endings are not opened to see whether they are images."""

_AFTER_ENDING = re.compile(r"\.(png|jpe?g|webp|gif|bmp|tiff?)[^a-z0-9.~].*$", re.IGNORECASE)
"""An ending with something behind it, as browsers and download tools write: .JPG_large, .jpg:orig, .png?v=2."""

_FIRST_BYTES = (
    (b"\x89PNG\r\n\x1a\n", "PNG"), (b"\xff\xd8\xff", "JPEG"), (b"GIF87a", "GIF"), (b"GIF89a", "GIF"), (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"), (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG2000"),
)  # fmt: skip
SNIFFED = 32
"""Bytes at the start of a file that `content_kind` needs."""


@functools.cache
def heif_is_installed() -> bool:
    """Whether the extra ``heif`` is installed; if so, Pillow reads HEIC files from now on."""
    try:
        import pillow_heif  # type: ignore[import-not-found,import-untyped,unused-ignore]
    except ImportError:
        return False
    pillow_heif.register_heif_opener()
    return True


@functools.cache
def _reads_avif() -> bool:
    Image.init()
    return "AVIF" in Image.OPEN and features.check("avif") is not False


def ending_of(name: str) -> str:
    """The ending of a file's name in lower case, with the dot; "" without one."""
    return os.path.splitext(name.rsplit("/", 1)[-1])[1].lower()


def is_image(name: str) -> bool:
    """Whether a file's name ends like an image that can be read. The "._" files of macOS do not count."""
    return not name.rsplit("/", 1)[-1].startswith("._") and _is_read(ending_of(name))


def _is_read(ending: str) -> bool:
    if ending in HEIF_EXTENSIONS:
        return heif_is_installed()
    return ending in EXTENSIONS and (ending != ".avif" or _reads_avif())


def why_not_read(name: str) -> str | None:
    """Say why a file that looks like an image is not read, and what to do.

    Returns:
        The reason; None for an image that is read, and for a file that is no image by its ending.
    """
    ending = ending_of(name)
    if name.rsplit("/", 1)[-1].startswith(".") or _is_read(ending):
        return None
    if ending in HEIF_EXTENSIONS:
        return NEEDS_HEIF
    return _NEEDS_AVIF if ending == ".avif" else _REASONS.get(ending)


def is_idx_name(name: str) -> bool:
    """Whether a file has a name like those of MNIST's IDX files, such as train-images-idx3-ubyte.gz."""
    return re.search(r"idx\d[-_.]?(ubyte|int|byte)", name.rsplit("/", 1)[-1].lower()) is not None


def is_to_sniff(name: str) -> bool:
    """Whether only the content of a file can say that it is an image: it has no ending, or an unknown one."""
    base = name.rsplit("/", 1)[-1]
    return not base.startswith(".") and ending_of(name) not in _OTHER_FILES


def is_used_by_content(name: str) -> bool:
    """Whether an image without a usual ending is used: it has none at all, or one with something behind it."""
    return not ending_of(name) or _AFTER_ENDING.search(name.rsplit("/", 1)[-1]) is not None


def content_kind(start: bytes) -> str | None:
    """Find the format of an image from its first `SNIFFED` bytes; None if it is not an image that is known here."""
    for first, kind in _FIRST_BYTES:
        if start.startswith(first):
            return kind
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return "WEBP"
    if start[:2] == b"BM" and start[6:10] == b"\0\0\0\0" and len(start) >= 26:
        return "BMP"
    if start[4:8] == b"ftyp":
        brands = start[8:]
        if b"avif" in brands or b"avis" in brands:
            return "AVIF"
        if any(brand in brands for brand in (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1")):
            return "HEIF"
    return None


def left_out_notes(bad: Iterable[tuple[str, str]]) -> list[str]:
    """Summarize the files that look like images and are not read: one line for each reason, with what to do.

    Args:
        bad: (name, reason) of files that are left out; other reasons than those of `why_not_read` are ignored.
    """
    reasons = {NEEDS_HEIF, _NEEDS_AVIF, *_REASONS.values()}
    names: dict[str, list[str]] = defaultdict(list)
    for name, reason in bad:
        if reason in reasons:
            names[reason].append(name)
    return [
        f"left out {found[0]}: {reason}"
        if len(found) == 1
        else f"left out {len(found)} files such as {found[0]}: {reason}"
        for reason, found in names.items()
    ]
