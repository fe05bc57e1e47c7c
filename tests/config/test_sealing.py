"""Small secrets of accounts outlive a change of Django's key, for as long as that is named."""

import pytest
from cryptography.exceptions import InvalidTag

from config.accounts import sealing


def test_what_was_sealed_under_an_earlier_key_opens_while_that_key_is_named(settings):
    sealed = sealing.encrypt("a secret")
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another key, of more than enough characters"
    assert sealing.decrypt(sealed) == "a secret"
    settings.SECRET_KEY_FALLBACKS = []
    with pytest.raises(InvalidTag):
        sealing.decrypt(sealed)
    assert sealing.decrypt(sealing.encrypt("new")) == "new"
