"""Why an export is refused: one tree, each error a sentence that tells the reader what to do."""


class ExportError(Exception):
    """An export that was not done; the repository is as it was."""


class InvalidOption(ExportError):
    """An option of the export is malformed or out of range."""


class NotACheckpoint(ExportError):
    """The source is no diffusers folder, no repository of that form on the Hugging Face Hub and no file of weights."""


class IncompleteCheckpoint(ExportError):
    """A component of the checkpoint is missing, or its files are missing, damaged or don't fit together."""


class InvalidVae(ExportError):
    """The VAE that is to replace the checkpoint's own can't be loaded."""


class InvalidLora(ExportError):
    """A LoRA is no file that can be read, or does not fit the checkpoint."""


class UnsupportedCheckpoint(ExportError):
    """The checkpoint is of a kind, or has a setting, that the server does not implement."""


class IncompatibleFamily(ExportError):
    """The repository holds something else under these names, or models whose tensors differ from the checkpoint's."""


class RepositoryUnavailable(ExportError):
    """The repository can't be written to: another export is at work, or the file system refuses."""


class GraphMismatch(ExportError):
    """An exported graph does not compute what the checkpoint computes in torch."""


class TargetUnavailable(ExportError):
    """This machine lacks what an export for the target needs."""


class NoSuchFamily(ExportError):
    """The repository has no family of that name."""


class NoSuchVersion(ExportError):
    """The family has no version of that number, or only a part of one."""
