"""What a file is, in words for people. Pure."""

from fnmatch import fnmatchcase

from uploads.media_types import names

# Pattern of media types, and words; the first that fits counts.
WORDS = (
    ("application/vnd.microsoft.portable-executable", "a Windows program"),
    ("application/x-msi", "a Windows installer"),
    ("application/x-elf", "a Linux program"),
    ("application/x-mach-binary", "a macOS program"),
    ("application/java-*", "a Java program"),
    ("application/wasm", "a WebAssembly program"),
    ("application/vnd.android.package-archive", "an Android app"),
    ("application/vnd.adobe.flash.movie", "a Flash film"),
    ("text/x-msdos-batch", "a Windows script"),
    ("text/x-powershell", "a Windows script"),
    ("text/vbscript", "a Windows script"),
    ("text/x-shellscript", "a shell script"),
    ("text/javascript", "a JavaScript program"),
    ("text/x-php", "a PHP program"),
    ("text/x-*", "the source of a program"),
    ("text/html", "a web page"),
    ("application/xhtml+xml", "a web page"),
    ("text/csv", "a CSV table"),
    ("text/tab-separated-values", "a TSV table"),
    ("text/markdown", "a Markdown text"),
    ("text/calendar", "a calendar"),
    ("text/*", "plain text"),
    ("application/json", "JSON"),
    ("application/x-ndjson", "lines of JSON"),
    ("application/xml", "XML"),
    ("application/yaml", "YAML"),
    ("application/rtf", "an RTF document"),
    ("application/pdf", "a PDF"),
    ("application/postscript", "a PostScript document"),
    ("application/epub+zip", "an e-book"),
    ("application/vnd.ms-word.*.macroenabled.12", "a Word document with macros"),
    ("application/vnd.ms-excel.[!s]*.macroenabled.12", "an Excel workbook with macros"),
    ("application/vnd.ms-excel.sheet.macroenabled.12", "an Excel workbook with macros"),
    ("application/vnd.ms-powerpoint.*.macroenabled.12", "a PowerPoint presentation with macros"),
    ("application/msword", "a Word document"),
    ("application/vnd.openxmlformats-officedocument.wordprocessingml.*", "a Word document"),
    ("application/vnd.ms-excel*", "an Excel workbook"),
    ("application/vnd.openxmlformats-officedocument.spreadsheetml.*", "an Excel workbook"),
    ("application/vnd.ms-powerpoint", "a PowerPoint presentation"),
    (
        "application/vnd.openxmlformats-officedocument.presentationml.*",
        "a PowerPoint presentation",
    ),
    ("application/vnd.oasis.opendocument.text*", "an OpenDocument text"),
    ("application/vnd.oasis.opendocument.spreadsheet*", "an OpenDocument workbook"),
    ("application/vnd.oasis.opendocument.presentation*", "an OpenDocument presentation"),
    ("application/vnd.oasis.opendocument.graphics*", "an OpenDocument drawing"),
    ("application/vnd.ms-outlook", "an Outlook mail"),
    ("message/rfc822", "a mail"),
    ("application/mbox", "a mailbox"),
    ("application/*sqlite3", "a database"),
    ("application/zip", "a ZIP archive"),
    ("application/gzip", "a gzip archive"),
    ("application/x-tar", "a tar archive"),
    ("application/x-7z-compressed", "a 7z archive"),
    ("application/vnd.rar", "a RAR archive"),
    ("application/x-bzip2", "a bzip2 archive"),
    ("application/x-xz", "an xz archive"),
    ("application/zstd", "a Zstandard archive"),
    ("application/vnd.ms-cab-compressed", "a CAB archive"),
    ("application/x-iso9660-image", "a disc image"),
    ("image/png", "a PNG picture"),
    ("image/jpeg", "a JPEG picture"),
    ("image/gif", "a GIF picture"),
    ("image/webp", "a WebP picture"),
    ("image/tiff", "a TIFF picture"),
    ("image/bmp", "a BMP picture"),
    ("image/svg+xml", "an SVG drawing"),
    ("image/*", "a picture"),
    ("audio/*", "a sound recording"),
    ("video/*", "a film"),
    ("font/*", "a font"),
)


def in_words(media_type: str) -> str:
    """Return what a file of this type is, with its article; the type itself where none is known."""
    fits = (words for pattern, words in WORDS if fnmatchcase(media_type, pattern))
    return next(fits, f"a file of the type {media_type}")


def told(media_type: str, *, name: str = "", declared_type: str = "") -> str:
    """Say what a file is and, where it says otherwise of itself, what it is not.

    Empty where its type is not known. Neither the name nor the declared type is quoted.
    """
    if not media_type or media_type == "application/octet-stream":
        return ""
    words = in_words(media_type)
    said = in_words(claimed) if (claimed := _claimed(media_type, name, declared_type)) else words
    return f"This is {words}." if said == words else f"This is {words}, not {said}."


def _claimed(media_type: str, name: str, declared_type: str) -> str:
    """Return the type that the name, or else the sender, says; empty where that is true."""
    if not names.fits_name(media_type, name):
        return names.types_of(name)[0]
    if not names.fits_declaration(media_type, declared_type, name):
        declared = names.canonical(declared_type)
        return declared if declared in names.KNOWN else ""
    return ""
