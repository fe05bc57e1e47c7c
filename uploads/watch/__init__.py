"""The drop folder: a door for whoever can put a file into a folder.

Each active user has a folder with four others inside. A file in `unprocessed` is claimed by
moving it to `underprocess`, taken in, and removed once the upload is committed. A receipt takes
its place: in `processed` when its run has succeeded, in `failed` when it has not. A file that is
refused moves to `failed`, beside a receipt that says why.

A crash at any point makes no second upload and loses none: the name of the claim is the
idempotency key of the upload, and what is left in `underprocess` is taken up again.
"""
