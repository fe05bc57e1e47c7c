"""Small real files of four kinds, made on the spot."""

import io

from PIL import Image

EVERY_TENTH = ("ERROR disk is full", "all is well", "WARNING slow", *["all is well"] * 7)
TEXT = "".join(f"{EVERY_TENTH[n % 10]} {n}\n" for n in range(200)).encode()
TABLE = b"city,people,founded\n" + b"".join(
    f"Harbour {n},{1000 * n},18{n:02}\n".encode() for n in range(10, 60)
)


def picture(width: int = 800, height: int = 500) -> bytes:
    """Return a PNG with a gradient."""
    file = io.BytesIO()
    Image.linear_gradient("L").resize((width, height)).convert("RGB").save(file, "PNG")
    return file.getvalue()


def document(text: str = "The harbour report") -> bytes:
    """Return a PDF of one page with a line of text. Source: ISO 32000-1, 7.5."""
    stream = f"BT /F1 24 Tf 72 720 Td ({text}) Tj ET".encode()
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R "
        b"/Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    body = b"%PDF-1.4\n"
    places = []
    for number, content in enumerate(objects, 1):
        places.append(len(body))
        body += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    return body + (
        b"xref\n0 %d\n0000000000 65535 f \n%strailer\n<< /Size %d /Root 1 0 R >>\n"
        b"startxref\n%d\n%%%%EOF\n" % (len(objects) + 1, table, len(objects) + 1, len(body))
    )


def files() -> dict[str, bytes]:
    """Return one file of each kind, by name."""
    return {
        "server.log": TEXT,
        "harbours.csv": TABLE,
        "report.pdf": document(),
        "harbour at dawn.png": picture(),
    }
