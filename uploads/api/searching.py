"""Looking for bytes in memory that is not to be copied for it. Pure."""

import ctypes

# Source: memmem(3). It is in the C libraries of GNU, musl, the BSDs and macOS; called this way,
# other threads go on meanwhile.
_memmem = getattr(ctypes.CDLL(None), "memmem", None)
if _memmem is not None:
    _memmem.restype = ctypes.c_void_p
    _memmem.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t)


def holds(data: bytes | memoryview, needle: bytes) -> bool:
    """Tell whether `needle` is in `data`."""
    if isinstance(data, bytes):
        return needle in data
    if _memmem is None or data.readonly or not data.c_contiguous or not data.nbytes:
        return needle in bytes(data)
    memory = ctypes.c_char.from_buffer(data)  # keeps it from going away
    return bool(_memmem(ctypes.addressof(memory), data.nbytes, needle, len(needle)))
