"""What the end of a file name, or a sender, says of its type; compared with the content."""

from types import MappingProxyType

from uploads.media_types.signatures import REGISTERED_NAMES

_OOXML = "application/vnd.openxmlformats-officedocument."
_ODF = "application/vnd.oasis.opendocument."
_WINDOWS = "application/vnd.microsoft.portable-executable"

# End of a name -> the types that may stand behind it, the usual one first.
# Sources: IANA media types registry; freedesktop.org shared-mime-info 2.4.
_TABLE = f"""
7z application/x-7z-compressed
aac audio/aac audio/x-hx-aac-adts
aif audio/aiff audio/x-aiff
aiff audio/aiff audio/x-aiff
apk application/vnd.android.package-archive application/zip application/java-archive
ar application/x-archive
arj application/x-arj
avi video/vnd.avi
avif image/avif
bat text/x-msdos-batch
bmp image/bmp
br application/x-brotli
bz2 application/x-bzip2
c text/x-c
cab application/vnd.ms-cab-compressed
class application/java-vm
cpio application/x-cpio
cpp text/x-c++ text/x-c
css text/css
csv text/csv text/tab-separated-values
db application/x-berkeley-db application/vnd.sqlite3 application/x-sqlite3
dbf application/vnd.dbf
deb application/vnd.debian.binary-package
dll {_WINDOWS}
doc application/msword application/rtf
docm application/vnd.ms-word.document.macroenabled.12
docx {_OOXML}wordprocessingml.document
dotm application/vnd.ms-word.template.macroenabled.12
dotx {_OOXML}wordprocessingml.template
dwg image/vnd.dwg
dxf image/vnd.dxf
elf application/x-elf
emf image/emf
eml message/rfc822
epub application/epub+zip
exe {_WINDOWS}
fb2 application/x-fictionbook+xml
flac audio/flac
flv video/x-flv
fodp {_ODF}presentation-flat-xml
fods {_ODF}spreadsheet-flat-xml
fodt {_ODF}text-flat-xml
gif image/gif
go text/x-go
gz application/gzip
h text/x-c
heic image/heic image/heif image/avif
heif image/heif image/heic
hpp text/x-c++ text/x-c
htm text/html application/xhtml+xml
html text/html application/xhtml+xml
icns image/icns
ico image/vnd.microsoft.icon
ics text/calendar
iso application/x-iso9660-image
jar application/java-archive application/zip
java text/x-java
jp2 image/jp2
jpeg image/jpeg
jpg image/jpeg
js text/javascript
json application/json application/x-ndjson
jsonl application/x-ndjson application/json
jxl image/jxl
kml application/vnd.google-earth.kml+xml
kmz application/vnd.google-earth.kmz
log text/plain text/csv
lz4 application/x-lz4
m4a audio/mp4 video/mp4
m4v video/mp4 video/x-m4v
mbox application/mbox
md text/markdown
mdb application/x-msaccess
mkv video/matroska video/webm
mov video/quicktime
mp3 audio/mpeg
mp4 video/mp4 audio/mp4
mpp application/vnd.ms-project
msg application/vnd.ms-outlook
msi application/x-msi
ndjson application/x-ndjson application/json
odg {_ODF}graphics
odp {_ODF}presentation
ods {_ODF}spreadsheet
odt {_ODF}text
oga audio/ogg
ogg audio/ogg video/ogg
ogv video/ogg
one application/onenote
opus audio/ogg
otf font/otf
otp {_ODF}presentation-template
ots {_ODF}spreadsheet-template
ott {_ODF}text-template
parquet application/vnd.apache.parquet
pbm image/x-portable-bitmap
pcap application/vnd.tcpdump.pcap
pcapng application/x-pcapng
pdf application/pdf
pgm image/x-portable-graymap
php text/x-php
plist application/x-plist application/x-bplist
pl text/x-perl
png image/png
potm application/vnd.ms-powerpoint.template.macroenabled.12
potx {_OOXML}presentationml.template
ppm image/x-portable-pixmap
ppsm application/vnd.ms-powerpoint.slideshow.macroenabled.12
ppsx {_OOXML}presentationml.slideshow
ppt application/vnd.ms-powerpoint
pptm application/vnd.ms-powerpoint.presentation.macroenabled.12
pptx {_OOXML}presentationml.presentation
ps application/postscript
ps1 text/x-powershell
psd image/vnd.adobe.photoshop
pub application/x-mspublisher
py text/x-python text/x-script.python
qoi image/qoi
rar application/vnd.rar
rb text/x-ruby
rpm application/x-rpm
rs text/x-rust
rss application/rss+xml
rtf application/rtf
sh text/x-shellscript
sql application/sql
sqlite application/vnd.sqlite3 application/x-sqlite3
svg image/svg+xml
swf application/vnd.adobe.flash.movie
tar application/x-tar
tgz application/gzip
tif image/tiff
tiff image/tiff
toml application/toml
tsv text/tab-separated-values text/csv
ttf font/ttf
txt text/plain text/csv text/tab-separated-values
vbs text/vbscript
vsd application/vnd.visio
wasm application/wasm
wav audio/vnd.wave
webm video/webm
webp image/webp
wma audio/x-ms-wma
wmf image/wmf
wmv video/x-ms-wmv
woff font/woff
woff2 font/woff2
xar application/x-xar
xbm image/x-xbitmap
xhtml application/xhtml+xml text/html
xls application/vnd.ms-excel application/vnd.ms-excel.sheet.4
xlsb application/vnd.ms-excel.sheet.binary.macroenabled.12
xlsm application/vnd.ms-excel.sheet.macroenabled.12
xlsx {_OOXML}spreadsheetml.sheet
xltm application/vnd.ms-excel.template.macroenabled.12
xltx {_OOXML}spreadsheetml.template
xml application/xml
xps application/vnd.ms-xpsdocument
xz application/x-xz
yaml application/yaml
yml application/yaml
zip application/zip
zst application/zstd
"""
ENDINGS = MappingProxyType(
    {words[0]: tuple(words[1:]) for words in map(str.split, _TABLE.strip().splitlines())}
)

# What a sender says who does not know.
SAYS_NOTHING = frozenset(
    {"", "application/octet-stream", "binary/octet-stream", "application/x-www-form-urlencoded",
     "application/force-download", "application/x-download", "application/unknown"}
)  # fmt: skip

# Types that are told by their names alone, among texts that read the same.
_BY_NAME_ONLY = frozenset(
    {"text/markdown", "text/x-c", "text/x-c++", "text/x-go", "text/x-java", "text/x-rust",
     "text/x-msdos-batch", "text/css", "text/javascript", "text/vbscript", "text/x-powershell",
     "text/x-perl", "text/x-python", "text/x-ruby", "text/x-shellscript", "text/x-php",
     "application/sql", "application/toml", "application/yaml", "text/calendar"}
)  # fmt: skip
# What the content looks like -> names of the same bytes that the ending may choose between.
_CLOSER = {
    "application/mbox": frozenset({"message/rfc822"}),
    "message/rfc822": frozenset({"text/plain"}),
    "image/heic": frozenset({"image/heif"}),
    "video/x-ms-asf": frozenset({"video/x-ms-wmv", "audio/x-ms-wma"}),
    "application/x-ndjson": frozenset({"application/json"}),
    "application/xhtml+xml": frozenset({"text/html"}),
    "text/html": frozenset({"application/xhtml+xml", "text/markdown"}),
    "text/csv": frozenset({"application/yaml", "text/plain", "text/markdown"}),
    "application/x-ole-encrypted-package": frozenset(
        _OOXML + kind
        for kind in ("wordprocessingml.document", "spreadsheetml.sheet",
                     "presentationml.presentation")
    ),
}  # fmt: skip
PROGRAMS = frozenset(
    {_WINDOWS, "application/x-elf", "application/x-mach-binary", "application/x-msi"}
)


def canonical(media_type: str) -> str:
    """Return the registered name of a type, without parameters."""
    essence = media_type.partition(";")[0].strip().lower()
    return REGISTERED_NAMES.get(essence, essence)


def types_of(name: str) -> tuple[str, ...]:
    """Return the types that the end of `name` stands for; none where it says nothing."""
    stem, dot, ending = name.rpartition(".")
    return ENDINGS.get(ending.lower(), ()) if dot and stem else ()


def is_text(media_type: str) -> bool:
    """Tell whether a file of this type reads as text."""
    return (
        media_type.startswith("text/")
        or media_type.endswith(("+xml", "+json", "-xml"))
        or media_type in ("application/json", "application/x-ndjson", "application/xml")
        or media_type in ("application/yaml", "application/toml", "application/sql")
        or media_type in ("application/mbox", "message/rfc822", "application/rtf")
    )


def is_plain(media_type: str) -> bool:
    """Tell whether this is no more than text, or a guess at a programming language."""
    return media_type == "text/plain" or media_type.startswith(
        ("text/x-", "application/javascript")
    )


def refined(media_type: str, name: str) -> str:
    """Return a closer type of the same content, where the end of `name` names one."""
    for closer in types_of(name):
        if closer == media_type:
            return media_type
        if closer in _CLOSER.get(media_type, ()):
            return closer
        if is_plain(media_type) and closer in _BY_NAME_ONLY:
            return closer
    return media_type


def may_be(media_type: str, closer: str) -> bool:
    """Tell whether a name could have made `closer` of content that looks like `media_type`."""
    return (
        closer == media_type
        or closer in _CLOSER.get(media_type, ())
        or (is_plain(media_type) and (closer in _BY_NAME_ONLY or closer == "application/json"))
    )


def says_json(name: str) -> bool:
    """Tell whether the name is that of JSON."""
    return "application/json" in types_of(name)


def fits_name(media_type: str, name: str) -> bool:
    """Tell whether a file of this type may have this name."""
    allowed = types_of(name)
    if not allowed or media_type in allowed:
        return True
    usual = allowed[0]
    if usual == "application/xml" and media_type.endswith(("+xml", "-xml")):
        return True
    return (is_plain(usual) or usual in _BY_NAME_ONLY) and is_plain(media_type)


def fits_declaration(media_type: str, declared_type: str, name: str) -> bool:
    """Tell whether a file of this type may have been declared so."""
    declared = canonical(declared_type)
    if declared in SAYS_NOTHING or "/" not in declared or declared == media_type:
        return True
    if declared == "text/plain" and is_text(media_type):
        return True
    if is_text(declared) and is_plain(media_type):
        return True
    if declared in _SAID_OF.get(media_type, ()):
        return True
    # Browsers declare what their system has registered for the ending.
    by_name = types_of(name)
    return media_type in by_name and (declared in by_name or declared not in KNOWN)


# What programs say of a type for want of knowing better.
_SAID_OF = {"text/csv": frozenset({"application/vnd.ms-excel", "application/csv"})}
KNOWN = frozenset(media_type for types in ENDINGS.values() for media_type in types)
