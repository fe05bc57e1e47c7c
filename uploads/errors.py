"""Refusals: why a file is not accepted. Nothing is stored. Pure."""

from typing import ClassVar

from config.errors import AppError


class Refusal(AppError):
    """A file that is not accepted."""

    code = "refused"
    status = 400
    detail = "The file is not accepted."
    pointer: ClassVar[str | None] = "/file"

    def __init__(self, told: str = "") -> None:
        """Take a sentence about this one file, which stands before what is always said.

        It quotes nothing of the file: see `uploads.media_types.told`.
        """
        super().__init__()
        if told:
            self.detail = f"{told} {self.detail}"


class FileMissing(Refusal):
    code = "file_missing"
    detail = "The request has no field `file` with a file in it."


class EmptyFile(Refusal):
    code = "empty_file"
    detail = "The file has no content."


class NameMissing(Refusal):
    code = "name_missing"
    detail = "The file has no name."


class NameTooLong(Refusal):
    code = "name_too_long"
    detail = "The name of the file is longer than 255 characters."


class NameIsAPath(Refusal):
    code = "name_is_a_path"
    detail = "The name of the file is a path: it contains a separator or a NUL, or names a folder."


class LabelMalformed(Refusal):
    code = "label_malformed"
    detail = (
        "A folder or a tag is malformed. Tags are up to 10 words of a-z, 0-9, '_', '.', ':' and "
        "'-'; a folder has up to 100 letters, digits, '_', '.', '-', spaces, and '/' in between."
    )
    pointer = None


class TooLarge(Refusal):
    code = "upload_too_large"
    status = 413
    detail = "The file is larger than this installation accepts."


class QuotaExceeded(Refusal):
    code = "quota_exceeded"
    status = 413
    detail = "The file does not fit into what is left of your quota."


class MediaTypeDenied(Refusal):
    code = "media_type_denied"
    status = 415
    detail = "Files of this type are not accepted."


class Truncated(Refusal):
    code = "body_truncated"
    detail = "The body ended before the file was complete."


class MalformedMultipart(Refusal):
    code = "malformed_multipart"
    detail = "The body is not valid multipart/form-data."
    pointer = None


class TooManyParts(Refusal):
    code = "too_many_parts"
    detail = "The body has more around its file, in parts, headers or padding, than it needs."
    pointer = None


class UnknownPipeline(Refusal):
    code = "unknown_pipeline"
    detail = "There is no pipeline with this name."
    pointer = "/pipeline"


class StorageFull(Refusal):
    code = "storage_full"
    status = 507
    detail = "There is no space left to store the file."
    retry_after_s = 300
    pointer = None


class DigestMismatch(Refusal):
    code = "digest_mismatch"
    detail = "The content does not have the digest that the request declares."
    pointer = None


class DigestMalformed(Refusal):
    code = "digest_malformed"
    detail = "A header Repr-Digest or Content-Digest does not hold a SHA-256 in base64."
    pointer = None


class NotMultipart(Refusal):
    code = "unsupported_content_type"
    status = 415
    detail = "The body must be multipart/form-data with a boundary."
    pointer = None


class TypeMismatch(Refusal):
    code = "type_mismatch"
    status = 415
    detail = "The content of the file is of another type than its name or its sender says."


class TypeUncertain(Refusal):
    code = "type_uncertain"
    status = 415
    detail = "The type of the file cannot be told from its content."


class Macro(Refusal):
    code = "macro"
    status = 415
    detail = "The file contains macros."


class MacroInDisguise(Refusal):
    code = "macro_in_disguise"
    status = 415
    detail = "The file contains macros, and its name or type says that it does not."


class ExecutableInDisguise(Refusal):
    code = "executable_in_disguise"
    status = 415
    detail = "The file is a program, and its name or type says that it is none."


class Polyglot(Refusal):
    code = "polyglot"
    status = 415
    detail = "The file can be read as more than one type."


class ActiveContent(Refusal):
    code = "active_content"
    status = 415
    detail = "The file contains something that a reader would run or fetch."


class EmbeddedFile(Refusal):
    code = "embedded_file"
    status = 415
    detail = "The document carries another file inside."


class EncryptedContent(Refusal):
    code = "encrypted_content"
    status = 415
    detail = "The file is encrypted: what it contains cannot be checked."


class ContainerDamaged(Refusal):
    code = "container_damaged"
    status = 415
    detail = "The container is damaged, or contradicts itself: it cannot be told what is in it."


REFUSALS_OF_CONTENT: dict[str, type[Refusal]] = {
    refusal.code: refusal
    for refusal in (
        TypeMismatch,
        TypeUncertain,
        Macro,
        MacroInDisguise,
        ExecutableInDisguise,
        Polyglot,
        ActiveContent,
        EmbeddedFile,
        EncryptedContent,
        ContainerDamaged,
    )
}


class UploadQuarantined(AppError):
    code = "upload_quarantined"
    status = 403
    detail = "The file is in quarantine. Its owner may fetch it with `accept_risk=true`."


class UploadNotChecked(AppError):
    code = "upload_not_checked"
    status = 409
    detail = (
        "The file has not passed its required checks. Its owner may fetch it with "
        "`accept_risk=true`."
    )
