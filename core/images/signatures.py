"""Signatures: what is a file, judged by its first bytes and never by its name?"""

_IMAGE_SIGNATURES = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"II*\x00", "TIFF"),
    (b"MM\x00*", "TIFF"),
    (b"II+\x00", "TIFF"),
    (b"BM", "BMP"),
)

_OTHER_SIGNATURES = (
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a zip archive or an Office document"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"Rar!", "a RAR archive"),
    (b"8BPS", "a Photoshop document"),
    (b"MM\x00+", "a BigTIFF image with its bytes in big-endian order"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"%!PS", "a PostScript document"),
    (b"\x00\x00\x00\x0cjP  ", "a JPEG 2000 image"),
    (b"\xff\x4f\xff\x51", "a JPEG 2000 image"),
    (b"\x00\x00\x00\x0cJXL ", "a JPEG XL image"),
    (b"\xff\x0a", "a JPEG XL image"),
    (b"v/1\x01", "an OpenEXR image"),
    (b"#?RADIANCE", "a Radiance HDR image"),
    (b"\x00\x00\x01\x00", "an icon"),
    (b"MZ", "a Windows program"),
    (b"\x7fELF", "a program"),
)

_HEIC_BRANDS = {b"heic", b"heix", b"hevc", b"mif1", b"msf1"}
_AVIF_BRANDS = {b"avif", b"avis"}


def sniff_format(head: bytes) -> str | None:
    """The image format that a file's first 16 bytes announce, or None for anything else."""
    for signature, image_format in _IMAGE_SIGNATURES:
        if head.startswith(signature):
            return image_format
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "WEBP"
    return None


def describe_content(data: bytes) -> str:
    """What a file that is no readable image seems to be, as words for a reason: "text"."""
    for signature, description in _OTHER_SIGNATURES:
        if data.startswith(signature):
            return description
    if data[4:8] == b"ftyp":
        return _describe_brands(data)
    if data[128:132] == b"DICM":
        return "a DICOM image"
    head = data[:512]
    if not head.strip(b"\x00"):
        return "nothing but zero bytes"
    text = head.decode("utf-8", "ignore")
    is_text = len(text.encode()) > len(head) - 4 and all(
        c.isprintable() or c.isspace() for c in text
    )
    if not is_text:
        return "unknown data"
    start = text.lstrip("\ufeff \t\r\n").lower()
    if start.startswith(("<!doctype html", "<html")):
        return "a web page"
    if "<svg" in start:
        return "an SVG drawing"
    return "XML" if start.startswith("<?xml") else "text"


def _describe_brands(data: bytes) -> str:
    # The box names its main brand, a version and the brands it is compatible with, 4 bytes each.
    end = min(int.from_bytes(data[:4]), 128)
    brands = {data[at : at + 4] for at in range(8, end, 4)}
    if brands & _AVIF_BRANDS:
        return "an AVIF image"
    return "a HEIC photograph" if brands & _HEIC_BRANDS else "a video"
