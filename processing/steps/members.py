"""The members of an archive or a mail, as files of their own. The worker takes them in.

Inside the sandbox this is the step `archive`, asked for some members at a time: nothing is handed
out before the whole archive was read and found good.
"""

from processing.steps import archive
from processing.steps.contract import Step

step = Step(
    "members",
    archive.run,
    title="Members as files",
    media_types=archive.step.media_types,
    limits=archive.step.limits,
    settings_schema={
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "max_files": {"type": "integer", "minimum": 1, "maximum": 1000, "default": 1000}
        },
    },
    makes_children=True,
)
