"""Part of `UPLOADS`: what is accepted, what it must pass, and who looks at it."""

from typing import Any

from config.env import env

# Where clamd listens: unix:/run/clamav/clamd.ctl or tcp:127.0.0.1:3310. Empty: there is none.
CLAMD = env.str("STRONGROOM_CLAMD", default="")
# A folder of YARA rules (*.yar, *.yara). Empty: there are none.
YARA_RULES = env.str("STRONGROOM_YARA_RULES", default="")

JUDGEMENT: dict[str, Any] = {
    # Patterns of media types. A type must match one of the first list and none of the second.
    "ALLOWED_TYPES": env.list("STRONGROOM_ALLOWED_TYPES", default=["*/*"]),
    "DENIED_TYPES": env.list(
        "STRONGROOM_DENIED_TYPES",
        default=[
            "application/vnd.microsoft.portable-executable",
            "application/x-elf",
            "application/x-mach-binary",
        ],
    ),
    # Checks that a file must pass before it leaves or is worked on, where its type needs them.
    # A scanner is required as soon as it is set up; "none" requires nothing.
    "REQUIRED_CHECKS": env.list(
        "STRONGROOM_REQUIRED_CHECKS",
        default=[
            "archive_limits",
            *(["antivirus"] if CLAMD else []),
            *(["yara"] if YARA_RULES else []),
        ],
    ),
    # What happens to a file that a required check could not be made on: hold or release.
    "NOT_CHECKED": env.str("STRONGROOM_NOT_CHECKED", default="hold"),
    # What happens because of a finding, where it is not the default: polyglot=quarantine,...
    "ACTIONS": env.dict("STRONGROOM_ACTIONS", default={}),
    # After so many days an upload is deleted; none: it is kept.
    "RETENTION_DAYS": env.int("STRONGROOM_RETENTION_DAYS", default=0) or None,
    "CLAMD": CLAMD,
    # The scanner gets so long for one file.
    "CLAMD_TIMEOUT_S": 120.0,
    # What clamd is set up for: MaxFileSize and StreamMaxLength, and MaxScanSize. It passes over
    # larger files without a word, so they count as not checked.
    "CLAMD_MAX_BYTES": env.int("STRONGROOM_CLAMD_MAX_BYTES", default=100 * 1024**2),
    "CLAMD_MAX_UNPACKED_BYTES": env.int(
        "STRONGROOM_CLAMD_MAX_UNPACKED_BYTES", default=400 * 1024**2
    ),
    # Signatures older than this are worth a look.
    "CLAMD_STALE_DAYS": 7,
    "YARA_RULES": YARA_RULES,
    "YARA_TIMEOUT_S": 60,
    # Larger files are not matched: a file is in memory while it is.
    "YARA_MAX_BYTES": 32 * 1024**2,
}
