"""When two requests get the same picture, bit for bit."""

import hashlib
import json
from dataclasses import fields

from bridge.generation import Generation
from bridge.job import Job

# What does not change the picture. Every other field of a generation counts, new ones too, until it is listed here.
_WITHOUT_EFFECT = {"family", "requested_model", "priority", "prompt_origin"}
_SETTINGS = [field.name for field in fields(Generation) if field.name not in _WITHOUT_EFFECT]


def repeat_key(job: Job) -> str:
    """A hash that is equal for jobs of equal outcome.

    It covers the exports (the catalog's fingerprint of the family, and of the upscaler where one is used), the prompt
    as sent, every setting, the seed and the pictures that the job starts from; hashing those takes some milliseconds
    each.
    """
    generation = job.generation
    hashed = hashlib.sha256(f"{generation.family.name} {generation.family.fingerprint}\n".encode())
    if job.upscaler is not None:
        hashed.update(f"{job.upscaler.name} {job.upscaler.upscaler.fingerprint}\n".encode())
    settings = {name: getattr(generation, name) for name in _SETTINGS}
    hashed.update(json.dumps(settings, sort_keys=True, default=repr).encode())
    for name, tensor in sorted(job.pictures.items()):
        hashed.update(f"\n{name} {tensor.dtype} {tensor.shape}\n".encode())
        hashed.update(tensor.tobytes())
    return hashed.hexdigest()
