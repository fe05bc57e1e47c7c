"""What only a folder can offer, and is refused. Pure."""

from uploads.errors import Refusal


class NotARegularFile(Refusal):
    code = "not_a_regular_file"
    detail = "Only regular files are taken: no links, pipes, sockets or devices."


class HardLinked(Refusal):
    code = "hard_linked"
    detail = "The file has a second name elsewhere. Put a copy of it into the folder."


class Unreadable(Refusal):
    code = "unreadable"
    detail = "The file cannot be read. Check its permissions."


class FolderTooDeep(Refusal):
    code = "folder_too_deep"
    detail = "The folder lies too deep in others to be looked through."
