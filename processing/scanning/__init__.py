"""The checks that can be required of a file: archive limits, antivirus, YARA rules."""

from processing.scanning.antivirus import scan_for_malware
from processing.scanning.archives import check_archive
from processing.scanning.rules import match_rules
from processing.scanning.subject import Check, Subject

# In the order in which they are made: what unpacks to too much must not reach a scanner.
CHECKS: dict[str, Check] = {
    "archive_limits": check_archive,
    "antivirus": scan_for_malware,
    "yara": match_rules,
}

__all__ = ["CHECKS", "Check", "Subject"]
