"""Makes the library's entry of a picture that was just made or answered."""

import time

from bridge.job import Job
from bridge.library.blobs import digest
from bridge.library.record import Entry, Record
from protos import starweave_pb2


def new_entry(job: Job, response: starweave_pb2.ImageResponse, repeat_key: str, repeat_of: str = "") -> Entry:
    """What the library keeps of a finished picture; `repeat_of` is the id of the one that it repeats, if any.

    Hashing the picture takes a millisecond for each megabyte.
    """
    generation, provenance = job.generation, job.provenance
    family, origin = generation.family, generation.prompt_origin
    version = int(response.metadata.debug_info.get("version", family.version))
    # Where the model went away meanwhile, another family or version has made the picture: what it is the repeat of, and
    # whose words its prompt is in, is not known then.
    as_accepted = (response.metadata.model, version) == (family.name, family.version)
    settings = {
        "steps": str(generation.steps),
        "sampler": generation.sampler,
        "guidance_scale": f"{generation.guidance_scale:g}",
        "guidance_from": f"{generation.guidance_interval[0]:g}",
        "guidance_until": f"{generation.guidance_interval[1]:g}",
        "priority": str(generation.priority),
        "generated_size": str(generation.generated_size),
    }
    if generation.upscale > 1:
        settings["upscale"] = str(generation.upscale)
    if generation.strength is not None:
        settings["strength"] = f"{generation.strength:g}"
    if generation.variation is not None:
        settings["variation_seed"] = str(generation.variation.seed)
        settings["variation_strength"] = f"{generation.variation.strength:g}"
    record = Record(
        id=response.request_id,
        created_at=time.time_ns() // 1_000_000 if repeat_of else response.metadata.generated_at.ToMilliseconds(),
        user_id=provenance.user_id,
        requested_model=generation.requested_model,
        family=response.metadata.model,
        version=version,
        fingerprint=family.fingerprint if as_accepted else "",
        space=family.text_encoder_fingerprint if as_accepted else "",
        capability=generation.capability,
        prompt_given=origin.prompt,
        prompt=generation.prompt,
        negative_prompt=generation.negative_prompt,
        style=origin.style,
        quality=origin.quality,
        template=origin.template,
        experiment=origin.experiment,
        seed=generation.seed,
        width=generation.finished_size.width,
        height=generation.finished_size.height,
        generation_ms=response.metadata.generation_time_ms,
        repeat_key=repeat_key if as_accepted else "",
        repeat_of=repeat_of,
        blob=digest(response.image_data),
        format=response.format,
        size=len(response.image_data),
        settings=settings,
        debug_info=dict(response.metadata.debug_info),
        request=provenance.request,
    )
    return Entry(record, response.image_data)
