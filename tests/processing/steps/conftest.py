"""What the tests of steps share."""

from tests.processing.steps.corpus import corpus

__all__ = ["corpus"]
