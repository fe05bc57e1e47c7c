"""Lines routed by tag from `start` to `end`, in bounded memory, with exact counts."""

from processing.steps.contract import MIB, Limits, Output, Step, StepContext, StepFailed
from processing.steps.lines.engine import Engine
from processing.steps.lines.settings import SCHEMA, BadSettings, check, read
from processing.steps.text import LineReader, choose_encoding


def run(context: StepContext) -> Output:
    """Return the accounts of the lines; what reaches the end is the artifact `lines.txt`."""
    try:
        plan = read(context.settings)
    except BadSettings as error:
        key, sentence = error.mistakes[0]
        raise StepFailed("bad_settings", f"The setting {key} {sentence}.") from None
    encoding = choose_encoding(context.content, plan.encoding)
    reader = LineReader(context.content, encoding, max_chars=plan.max_line_chars)
    engine = Engine(plan, context.open_artifact)
    for numbers, lines in reader.windows():
        engine.take(numbers, lines)
    return {
        "encoding": encoding,
        "lines": reader.lines,
        "undecodable_lines": reader.undecodable,
        "cut_lines": reader.cut,
        **engine.close(),
    }


step = Step(
    "lines",
    run,
    title="Line routing",
    media_types=("text/*", "application/json", "application/x-ndjson", "application/xml"),
    limits=Limits(wall_s=1800, cpu_s=1200, output_bytes=2 * MIB),
    settings_schema=SCHEMA,
    check_settings=check,
    varies=frozenset({"ms"}),
    shares_child=("*/*",),
)
