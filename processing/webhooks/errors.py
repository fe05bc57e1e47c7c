"""Why an endpoint cannot be made or changed, and why an attempt failed. Pure."""

from config.errors import AppError


class UrlMalformed(AppError):
    code = "webhook_url_malformed"
    status = 400
    detail = (
        "The address is malformed: it must be a URL of at most 2048 ASCII characters, without "
        "user, password and fragment, whose host is a name or an IP address."
    )
    pointer = "/url"


class SchemeRefused(AppError):
    code = "webhook_scheme_refused"
    status = 400
    detail = "The address must begin with https://."
    pointer = "/url"


class PortRefused(AppError):
    code = "webhook_port_refused"
    status = 400
    detail = "This installation does not send to that port."
    pointer = "/url"


class AddressRefused(AppError):
    """One for both reasons: what internal names there are is nobody's business."""

    code = "webhook_address_refused"
    status = 400
    detail = "The host cannot be found, or is not on the public internet."
    pointer = "/url"


class NameTaken(AppError):
    code = "webhook_name_taken"
    status = 409
    detail = "You have an endpoint of this name already."
    pointer = "/name"


class NameMalformed(AppError):
    code = "webhook_name_malformed"
    status = 400
    detail = "A name has 1 to 50 letters, digits, '_' and '-'."
    pointer = "/name"


class UnknownEvent(AppError):
    code = "webhook_event_unknown"
    status = 400
    detail = "There is no event of that name."
    pointer = "/events"


class TooManyEndpoints(AppError):
    code = "too_many_webhooks"
    status = 409
    detail = "You have as many endpoints as you may have."


class ChangedMeanwhile(AppError):
    code = "webhook_changed"
    status = 409
    detail = "The endpoint was changed by somebody else meanwhile. Look again."


class EndpointOff(AppError):
    code = "webhook_off"
    status = 409
    detail = "The endpoint is switched off. Switch it on first."


class DeliveryGoesOn(AppError):
    code = "delivery_goes_on"
    status = 409
    detail = "The delivery is being tried right now."
