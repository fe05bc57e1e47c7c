"""Tells an endpoint of the owner that a run has come to this point. The worker writes the message.

In the sandbox there is nobody to tell: the step only says whom it is about.
"""

from processing.steps.contract import JSON, Output, Step, StepContext

SCHEMA: dict[str, JSON] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "endpoint": {
            "type": "string",
            "pattern": "^[A-Za-z0-9_-]{1,50}$",
            "default": "default",
        },
        "label": {"type": "string", "maxLength": 100, "default": ""},
    },
}


def run(context: StepContext) -> Output:
    """Return the name of the endpoint; the worker adds `told` and `message`."""
    return {"endpoint": context.settings.get("endpoint", "default")}


step = Step(
    "webhook",
    run,
    title="Webhook",
    settings_schema=SCHEMA,
    varies=frozenset({"told", "message"}),
    tells=True,
    shares_child=("*/*",),
)
