"""What tus answers instead of an upload. Pure."""

from config.errors import AppError


class ProtocolVersionUnsupported(AppError):
    code = "tus_version_unsupported"
    status = 412
    detail = "The header Tus-Resumable must name a version that this server speaks."


class HeaderInvalid(AppError):
    code = "tus_header_invalid"
    status = 400
    detail = "A header of the tus protocol is missing or malformed."


class LengthInvalid(HeaderInvalid):
    code = "tus_length_invalid"
    detail = "The header Upload-Length must be the number of bytes of the file."


class OffsetInvalid(HeaderInvalid):
    code = "tus_offset_invalid"
    detail = "The header Upload-Offset must be a number of bytes."


class MetadataInvalid(HeaderInvalid):
    code = "tus_metadata_invalid"
    detail = "The header Upload-Metadata must hold keys with values in base64."


class ChecksumInvalid(HeaderInvalid):
    code = "tus_checksum_invalid"
    detail = "The header Upload-Checksum must hold an algorithm that is offered and a digest."


class ExtensionUnsupported(AppError):
    code = "tus_extension_unsupported"
    status = 400
    detail = "The request needs an extension of tus that this server does not offer."


class ContentTypeInvalid(AppError):
    code = "unsupported_content_type"
    status = 415
    detail = "The body must be of type application/offset+octet-stream."


class SessionUnknown(AppError):
    code = "not_found"
    status = 404
    detail = "There is nothing here that you may see."


class SessionGone(AppError):
    code = "upload_session_gone"
    status = 410
    detail = "This upload session has ended. Begin a new one."


class OffsetMismatch(AppError):
    code = "tus_offset_mismatch"
    status = 409
    detail = "The upload does not stand at this offset. Ask for it with HEAD."


class SessionLocked(AppError):
    code = "upload_session_locked"
    status = 423
    detail = "Another request is writing to this upload. Try again shortly."
    retry_after_s = 5


class LengthExceeded(AppError):
    code = "tus_length_exceeded"
    status = 413
    detail = "The body goes beyond the declared length of the upload."


class ChecksumMismatch(AppError):
    code = "tus_checksum_mismatch"
    status = 460  # source: tus 1.0.0, checksum extension
    detail = "The body does not have the declared checksum. Nothing of it was kept."
