"""The step over bytes, without Strongroom around it."""

import io

import pytest
from strongroom_word_count import CHUNK_BYTES, step

from processing.steps.contract import Output, StepContext, StepFailed


class Artifact(io.BytesIO):
    """Keeps what was written when it is closed."""

    kept = b""

    def close(self) -> None:
        type(self).kept = self.getvalue()
        super().close()


def run(content: bytes, **settings: int) -> Output:
    return step.run(
        StepContext(
            content=io.BytesIO(content),
            size=len(content),
            media_type="text/plain",
            open_artifact=lambda *_: Artifact(),
            settings=settings,
        )
    )


def test_it_counts_words_also_across_pieces() -> None:
    long = b"x" * (CHUNK_BYTES - 2) + b" abc def abc\n"
    assert run(long) == {"words": 4, "different": 3, "listed": 3}


def test_the_most_frequent_words_become_an_artifact() -> None:
    run(b"b a b\n", top=1)
    assert Artifact.kept == b"2\tb\n"


def test_what_has_too_many_words_is_refused() -> None:
    with pytest.raises(StepFailed):
        run(b"x" * (2 * CHUNK_BYTES + 1))
