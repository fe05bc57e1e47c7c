"""What the edge itself answers, before or instead of a view. Pure."""

from config.errors import AppError


class HeadTooLarge(AppError):
    code = "headers_too_large"
    status = 431
    detail = "The headers of this request are too many or too long."


class UpgradeUnsupported(AppError):
    code = "upgrade_unsupported"
    status = 400
    detail = "Send a body without an Upgrade header: this server speaks HTTP/1.1."


class PayloadTooLarge(AppError):
    code = "payload_too_large"
    status = 413
    detail = "The body of this request is larger than this address accepts."


class BodyBroken(AppError):
    """The server cannot read on: the client has gone, or its chunks are malformed."""

    code = "body_broken"
    status = 400
    detail = "The body of this request broke off, or is not framed as its headers say."


class BodyCoded(AppError):
    code = "content_encoding_unsupported"
    status = 415
    detail = "Send the body as it is, without a Content-Encoding."


class BodyPartial(AppError):
    code = "content_range_unsupported"
    status = 400
    detail = "Send the whole body: parts with a Content-Range are not put together here."


class RequestTimeout(AppError):
    code = "request_timeout"
    status = 408
    detail = "The body of this request arrived too slowly."


class Overloaded(AppError):
    code = "overloaded"
    status = 503
    detail = "Too much is going on at the moment. Try again shortly."
    retry_after_s = 5


class Stopping(AppError):
    code = "stopping"
    status = 503
    detail = "The server is about to stop. Try again shortly."
    retry_after_s = 5


class RangeNotSatisfiable(AppError):
    code = "range_not_satisfiable"
    status = 416
    detail = "The content ends before the range that was asked for."


class PreconditionFailed(AppError):
    code = "precondition_failed"
    status = 412
    detail = "The content is not in the state that the request depends on."


class Disconnected(Exception):
    """The client is gone; there is nobody to answer."""
