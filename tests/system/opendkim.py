# SPDX-License-Identifier: ISC
"""OpenDKIM's library, unpacked into peers/ and never installed, as two functions."""
import ctypes
import glob

POINTER, TEXT, SIZE = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t
STATUS = ctypes.POINTER(ctypes.c_int)
LOOKUP = ctypes.CFUNCTYPE(ctypes.c_int, POINTER, POINTER, POINTER, SIZE)
CANONS, RSA_SHA256 = {b"simple": 0, b"relaxed": 1}, 1

PROTOTYPES = {
    "dkim_init": (POINTER, [POINTER, POINTER]),
    "dkim_close": (None, [POINTER]),
    "dkim_set_key_lookup": (ctypes.c_int, [POINTER, LOOKUP]),
    "dkim_verify": (POINTER, [POINTER, TEXT, POINTER, STATUS]),
    "dkim_sign": (POINTER, [POINTER, TEXT, POINTER, TEXT, TEXT, TEXT, ctypes.c_int, ctypes.c_int, ctypes.c_int,
                            ctypes.c_ssize_t, STATUS]),
    "dkim_chunk": (ctypes.c_int, [POINTER, TEXT, SIZE]),
    "dkim_eom": (ctypes.c_int, [POINTER, POINTER]),
    "dkim_getsighdr_d": (ctypes.c_int, [POINTER, SIZE, ctypes.POINTER(TEXT), ctypes.POINTER(SIZE)]),
    "dkim_free": (ctypes.c_int, [POINTER]),
}


def found():
    """Where it is, or None: also when something that it needs is not on this machine."""
    path = next(iter(glob.glob("peers/libopendkim11/usr/lib/*/libopendkim.so.11")), None)
    try:
        return path if path is not None and ctypes.CDLL(path) else None
    except OSError:
        return None


class OpenDkim:
    """`record` is the text of every key record that it asks for."""

    def __init__(self, record):
        self.library = ctypes.CDLL(found())
        for name, (result, arguments) in PROTOTYPES.items():
            function = getattr(self.library, name)
            function.restype, function.argtypes = result, arguments
        self.handle = self.library.dkim_init(None, None)
        self.lookup = LOOKUP(self.answer)               # must outlive the handle
        self.library.dkim_set_key_lookup(self.handle, self.lookup)
        self.record = record

    def answer(self, _message, _signature, room, size):
        assert len(self.record) < size
        ctypes.memmove(room, self.record + b"\0", len(self.record) + 1)
        return 0

    def feed(self, job, message):
        """0 when all went well, else its status."""
        for piece, length in (message, len(message)), (None, 0):
            if status := self.library.dkim_chunk(job, piece, length):
                return status
        return self.library.dkim_eom(job, None)

    def verify(self, message):
        """True when its first signature is good."""
        job = self.library.dkim_verify(self.handle, b"verify", None, ctypes.byref(ctypes.c_int()))
        status = self.feed(job, message)
        self.library.dkim_free(job)
        return status == 0

    def sign(self, message, key, selector, domain, canons, length=-1):
        """The field in front of it; `canons` for header and body; a length as l=."""
        job = self.library.dkim_sign(self.handle, b"sign", None, key, selector, domain, CANONS[canons[0]],
                                     CANONS[canons[1]], RSA_SHA256, length, ctypes.byref(ctypes.c_int()))
        assert self.feed(job, message) == 0
        field, size = TEXT(), SIZE()
        assert self.library.dkim_getsighdr_d(job, 16, ctypes.byref(field), ctypes.byref(size)) == 0
        text = ctypes.string_at(field, size.value)
        self.library.dkim_free(job)
        return b"DKIM-Signature: " + text.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n") + b"\r\n"

    def end(self):
        self.library.dkim_close(self.handle)
