"""What a process has freed, given back to the system."""

import ctypes


def give_back_memory() -> None:
    """Give freed memory back; takes some milliseconds.

    The C library keeps what was freed in small pieces for later. That is right for what is done again and again;
    a refit needs much at once, and then nothing for a while.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's; other C libraries do without
    if trim is not None:
        trim(0)
