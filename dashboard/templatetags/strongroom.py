"""How pages write sizes, times, states and icons: one way each."""

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Literal

from django import template
from django.template.defaultfilters import stringfilter
from django.templatetags.static import static
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from dashboard import names
from dashboard.findings import LEFT_OUT
from processing.models import Outcome

register = template.Library()

NOTHING = "\N{EN DASH}"
UNITS = ("B", "KiB", "MiB", "GiB", "TiB")

# State or verdict -> (colour, icon, word). Runs, uploads and step records share the words.
STATES = {
    "queued": ("idle", "hourglass", "Queued"),
    "running": ("busy", "loader-circle", "Running"),
    "succeeded": ("good", "circle-check", "Succeeded"),
    "failed": ("bad", "octagon-x", "Failed"),
    "cancelled": ("idle", "ban", "Cancelled"),
    "skipped": ("idle", "chevrons-right", "Skipped"),
    "abandoned": ("idle", "unplug", "Abandoned"),
    "pending": ("idle", "hourglass", "Being checked"),
    "passed": ("good", "shield-check", "Checked"),
    "quarantined": ("bad", "octagon-x", "In quarantine"),
    "not_checked": ("bad", "triangle-alert", "Not checked"),
    "waiting": ("idle", "hourglass", "Waiting"),
    "delivered": ("good", "circle-check", "Delivered"),
    "on": ("good", "circle-check", "On"),
    "off": ("idle", "circle-pause", "Off"),
    "failing": ("bad", "triangle-alert", "Failing"),
    "ok": ("good", "circle-check", "Well"),
    "degraded": ("bad", "triangle-alert", "Limited"),
    "refusing": ("bad", "ban", "Refusing"),
    "not_installed": ("idle", "circle-pause", "Not set up"),
    "alive": ("good", "circle-check", "Alive"),
    "silent": ("idle", "unplug", "Silent"),
}

# Beginning of a media type -> icon; the first that fits counts.
TYPE_ICONS = (
    ("image/", "image"),
    ("audio/", "music"),
    ("video/", "film"),
    ("text/csv", "sheet"),
    ("text/tab-separated-values", "sheet"),
    ("application/vnd.openxmlformats-officedocument.spreadsheetml", "sheet"),
    ("application/json", "file-code"),
    ("application/xml", "file-code"),
    ("text/html", "file-code"),
    ("text/x-", "file-code"),
    ("text/", "file-text"),
    ("application/pdf", "file-text"),
    ("application/zip", "archive"),
    ("application/gzip", "archive"),
    ("application/x-tar", "archive"),
)

# What the step `personal_data` looks for.
PERSONAL_KINDS = {
    "email": "E-mail address",
    "phone": "Telephone number",
    "card": "Payment card",
    "iban": "IBAN",
}


@register.simple_tag
def icon(name: str, label: str = "") -> SafeString:
    """Return an icon of the sprite; decoration, unless it has a label."""
    href = f"{static('dashboard/dist/icons.svg')}#{name}"
    if label:
        return format_html(
            '<svg class="icon icon-{}" role="img" aria-label="{}"><use href="{}"/></svg>',
            name,
            label,
            href,
        )
    return format_html(
        '<svg class="icon icon-{}" aria-hidden="true"><use href="{}"/></svg>', name, href
    )


@register.simple_tag
def histogram(bars: Sequence[int]) -> SafeString:
    """Draw how many values are in each of equal parts, from the least to the greatest."""
    most = max(bars, default=0) or 1
    drawn = format_html_join(
        "",
        '<rect x="{}" y="{}" width="0.8" height="{}"/>',
        (
            (at, round(10 - 10 * bar / most, 2), round(10 * bar / most, 2))
            for at, bar in enumerate(bars)
        ),
    )
    return format_html(
        '<svg class="histogram" viewBox="0 0 {} 10" width="80" height="20" fill="currentColor"'
        ' preserveAspectRatio="none" role="img" aria-label="Histogram: {}">{}</svg>',
        len(bars),
        ", ".join(map(str, bars)),
        drawn,
    )


@register.filter
def type_icon(media_type: str) -> str:
    """Return the name of the icon for a media type."""
    return next((name for start, name in TYPE_ICONS if media_type.startswith(start)), "file")


@register.inclusion_tag("dashboard/parts/pill.html")
def pill(state: str) -> dict[str, Any]:
    """Show a state: colour, icon and word."""
    colour, name, word = STATES.get(state, ("idle", "file", state))
    return {"colour": colour, "icon_name": name, "word": word}


@register.filter
def state_word(state: str) -> str:
    """Write a state as a word."""
    return STATES[state][2] if state in STATES else worded(state)


@register.filter
def worded(name: str) -> str:
    """Write a name that programs use as words: `bit_rate` is "Bit rate"."""
    words = name.replace("_", " ").strip()
    return words[:1].upper() + words[1:]


@register.filter(is_safe=True)
@stringfilter
def sentence_case(text: str) -> str:
    """Write Words In Capitals as the other pages do: allauth's headings, buttons and titles."""
    first, *others = re.split(r"(\s+|-)", text.strip())
    words = (word.lower() if word[:1].isupper() and word[1:].islower() else word for word in others)
    return first + "".join(words)


@register.filter
def personal_kind(kind: str) -> str:
    """Write a kind of personal data."""
    return PERSONAL_KINDS.get(kind) or worded(kind)


@register.filter
def outcome_word(outcome: str) -> str:
    """Write what a comparison found."""
    return str(Outcome(outcome).label)


@register.filter
def left_out(code: str) -> str:
    """Return the sentence that says why a member was left out."""
    return LEFT_OUT.get(code, code)


@register.filter
def binary_size(size: float | Literal[""] | None) -> str:
    """Write a number of bytes; `scripts/sizes.js` writes the same.

    What an older version of a step did not say is an empty string here.
    """
    if size is None or size == "":
        return NOTHING
    power = 0
    while size >= 1024 and power < len(UNITS) - 1:
        size /= 1024
        power += 1
    return f"{round(size, 0 if size >= 100 else 1):g} {UNITS[power]}"


@register.filter
def count(number: float | Literal[""] | None) -> str:
    """Write how many, in groups of three digits."""
    return NOTHING if number is None or number == "" else f"{number:,}"


@register.filter
def duration(milliseconds: float | Literal[""] | None) -> str:
    """Write a time span with as many digits as matter."""
    if milliseconds is None or milliseconds == "":
        return NOTHING
    if milliseconds < 1000:
        return f"{milliseconds:.0f} ms" if milliseconds >= 1 or milliseconds <= 0 else "<1 ms"
    seconds = milliseconds / 1000
    if seconds < 60:
        return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.1f} s"
    minutes, seconds = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {seconds} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"


@register.filter
def age(moment: datetime | None) -> SafeString | str:
    """Write how long ago something was; `scripts/ages.js` keeps it true in an open page."""
    if moment is None:
        return NOTHING
    return format_html(
        '<time datetime="{}" title="{}" data-age>{}</time>',
        moment.astimezone(UTC).isoformat(),
        _in_utc(moment),
        _age_words((timezone.now() - moment).total_seconds()),
    )


@register.filter
def absolute(moment: datetime | None) -> SafeString | str:
    """Write a moment in UTC, to the second; `scripts/clock.js` for who wants the device's time."""
    if moment is None:
        return NOTHING
    return format_html(
        '<time datetime="{}" data-moment>{}</time>',
        moment.astimezone(UTC).isoformat(),
        _in_utc(moment),
    )


@register.filter
def tick_label(milliseconds: float) -> str:
    """Write a round mark of a time axis."""
    if milliseconds < 1000:
        return f"{milliseconds:g} ms"
    return f"{milliseconds / 1000:g} s" if milliseconds < 60_000 else duration(milliseconds)


@register.filter
def printable(name: str) -> str:
    """Write a name from inside of a file, such as that of a member, as names are written."""
    return names.printable(str(name))


@register.filter
def as_json(value: Any) -> str:
    """Write a JSON value to be read by people; in its strings, what is not visible as its code."""
    if isinstance(value, str):
        return value
    text = json.dumps(value, ensure_ascii=False, indent=2)
    return names.DECEIVING_IN_LINES.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


@register.filter
def cell(value: Any) -> str:
    """Write a value of a table; numbers with as many digits as one reads."""
    if value is None or value == "":
        return NOTHING
    return f"{value:.6g}" if isinstance(value, float) else str(value)


@register.filter
def share(part: float, whole: float) -> str:
    """Return `part` of `whole` in percent, as an SVG length."""
    return f"{100 * part / whole:.3f}%" if whole else "0%"


def _in_utc(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _age_words(seconds: float) -> str:
    if seconds < 5:
        return "now"
    for limit, unit, word in ((60, 1, "s"), (3600, 60, "min"), (86400, 3600, "h")):
        if seconds < limit:
            return f"{int(seconds // unit)} {word}"
    return f"{int(seconds // 86400)} d"
