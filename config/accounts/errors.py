"""Why somebody is not let in. Pure."""

from config.errors import AppError


class TokenInvalid(AppError):
    code = "token_invalid"
    status = 401
    detail = "The token is invalid or has expired."


class CredentialsInvalid(AppError):
    code = "credentials_invalid"
    status = 401
    detail = "No active account matches this user name and password."


class MfaRequired(AppError):
    code = "mfa_required"
    status = 401
    detail = "This account has a second factor: send its current code as `otp`."
    pointer = "/otp"


class OtpInvalid(AppError):
    code = "otp_invalid"
    status = 401
    detail = "The code is wrong or was used before."
    pointer = "/otp"


class TooManyFailures(AppError):
    code = "too_many_failures"
    status = 429
    detail = "Too many failed sign-ins. Try again later."
    retry_after_s = 15 * 60
