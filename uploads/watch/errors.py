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
    detail = "It cannot be read. Check its permissions."


class FolderTooDeep(Refusal):
    code = "folder_too_deep"
    detail = "The folder lies too deep in others to be looked through."


class CannotBeMoved(Refusal):
    code = "cannot_be_moved"
    detail = (
        "It cannot be moved out of the folder and stays where it is. Check the permissions of its "
        "folder, and that all parts of the drop folder lie on one file system."
    )
