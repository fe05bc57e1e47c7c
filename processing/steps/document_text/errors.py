"""How a document can be at fault."""


class DocumentDamaged(Exception):
    """The document is damaged, or of another kind than it seems."""


class DocumentEncrypted(Exception):
    """The document cannot be read without a password."""
