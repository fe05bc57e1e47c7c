"""How many words a text has, and which are the most frequent."""

from collections import Counter

from processing.steps.contract import Limits, Output, Step, StepContext, StepFailed

CHUNK_BYTES = 1024 * 1024
MAX_DIFFERENT = 100_000  # so that memory does not grow with the file


def run(context: StepContext) -> Output:
    """Return `words`, as separated by white space, and the `top` most frequent.

    Raises:
        StepFailed: `too_many_words`, where the text has more different ones than are counted.
    """
    counts: Counter[bytes] = Counter()
    rest = b""
    while chunk := context.content.read(CHUNK_BYTES):
        words = (rest + chunk).split()
        # The last word may go on in the next piece.
        rest = words.pop() if words and not chunk[-1:].isspace() else b""
        counts.update(words)
        if len(counts) > MAX_DIFFERENT or len(rest) > CHUNK_BYTES:
            raise StepFailed("too_many_words", "The text has more words than are counted.")
    if rest:
        counts[rest] += 1
    top = context.settings.get("top", 10)
    most = counts.most_common(top if isinstance(top, int) else 10)
    if counts:
        with context.open_artifact("words.txt", "text/plain; charset=utf-8") as artifact:
            for word, count in most:
                artifact.write(b"%d\t%s\n" % (count, word))
    return {"words": counts.total(), "different": len(counts), "listed": len(most)}


step = Step(
    "word_count",
    run,
    title="Word count",
    media_types=("text/*",),
    limits=Limits(wall_s=120, cpu_s=100),
    settings_schema={
        "type": "object",
        "additionalProperties": False,
        "properties": {"top": {"type": "integer", "minimum": 0, "maximum": 1000, "default": 10}},
    },
)
