"""What a request with an `Idempotency-Key` can meet. Pure."""

from config.errors import AppError


class KeyInvalid(AppError):
    code = "idempotency_key_invalid"
    status = 400
    detail = "The header Idempotency-Key must have 1 to 255 printable characters."


class KeyReused(AppError):
    code = "idempotency_key_reused"
    status = 422
    detail = "This Idempotency-Key belongs to a request that asked for something else."


class StillInFlight(AppError):
    code = "idempotency_in_flight"
    status = 409
    detail = "A request with this Idempotency-Key is still under way. Ask again shortly."
    retry_after_s = 5


class ResultGone(AppError):
    code = "idempotency_result_gone"
    status = 410
    detail = "What a request with this Idempotency-Key made has been deleted."
