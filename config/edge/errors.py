"""What the edge itself answers, before or instead of a view. Pure."""

from config.errors import AppError


class PayloadTooLarge(AppError):
    code = "payload_too_large"
    status = 413
    detail = "The body of this request is larger than this address accepts."


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
