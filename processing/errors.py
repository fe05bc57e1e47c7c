"""Why a run cannot be made, changed or finished. Pure."""

from config.errors import AppError
from uploads.errors import Refusal


class RunHasEnded(AppError):
    code = "run_has_ended"
    status = 409
    detail = "The run has ended; it cannot be cancelled."


class RunHasNotEnded(AppError):
    code = "run_has_not_ended"
    status = 409
    detail = "Only a run that failed or was cancelled can be retried."


class UnknownVersion(AppError):
    code = "unknown_version"
    status = 400
    detail = "The pipeline has no such version."
    pointer = "/version"


class UnknownStep(AppError):
    code = "unknown_step"
    status = 400
    detail = "The pipeline has no such step, or no earlier run has finished the steps before it."
    pointer = "/from_step"


class NothingToReplay(AppError):
    code = "nothing_to_replay"
    status = 400
    detail = "No file of yours is chosen by this."


class TooMuchToReplay(AppError):
    code = "too_much_to_replay"
    status = 400
    detail = "More files are chosen than one replay takes; choose fewer."


class ReplayGoesOn(AppError):
    code = "replay_goes_on"
    status = 409
    detail = "The replay has runs that have not ended."


class NoPipeline(AppError):
    code = "no_pipeline"
    status = 422
    detail = "There is no pipeline for files of this type."


class QueueFull(Refusal):
    code = "queue_full"
    status = 503
    detail = "Too many files wait for their turn at the moment. Try again later."
    pointer = None
    retry_after_s = 30
