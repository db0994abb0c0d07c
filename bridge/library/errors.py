"""What can go wrong with the library; branches of the bridge's error tree."""

import grpc

from bridge.errors import BridgeError


class LibraryUnavailable(BridgeError):
    """The database or the blob store cannot be reached."""

    code = grpc.StatusCode.UNAVAILABLE


class ImageNotFound(BridgeError):
    """The library holds no such picture."""

    code = grpc.StatusCode.NOT_FOUND


class LibraryRefused(BridgeError):
    """The library is not in a state for what was asked, such as a restore into one that holds pictures."""

    code = grpc.StatusCode.FAILED_PRECONDITION


class DamagedBackup(BridgeError):
    """A backup is incomplete or was changed."""

    code = grpc.StatusCode.DATA_LOSS
