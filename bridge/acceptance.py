"""Takes a request in: finds its family, checks it, counts it, writes its prompts and decodes its pictures."""

from dataclasses import replace

from bridge.codec import PictureCodec
from bridge.deadline import Deadline
from bridge.errors import InvalidRequest, ModelUnavailable
from bridge.families import Capability
from bridge.generation import Generation
from bridge.insight.model_choice import ModelChooser
from bridge.job import Job
from bridge.limits.admission import Admission
from bridge.observability.picture_observer import PictureObserver
from bridge.prompts.prompt_writer import PromptWriter
from bridge.provenance import Provenance
from bridge.recovery.fallback import Fallback, FamilyChoice
from bridge.recovery.retries import Retries, RetryPolicy
from bridge.security.caller import Caller
from bridge.triton import Tensors
from bridge.upscalers import Upscalers
from bridge.validation import UpscaleLimits, capability_of, check_finished_size, validate, validate_names
from protos import starweave_pb2


class Acceptance:
    """Makes jobs of requests."""

    def __init__(
        self,
        chooser: ModelChooser,
        fallback: Fallback,
        prompts: PromptWriter,
        codec: PictureCodec,
        admission: Admission,
        retry_policy: RetryPolicy,
        observer: PictureObserver,
        upscalers: Upscalers,
        max_upscaled_pixels: int,
    ) -> None:
        self._chooser = chooser
        self._fallback = fallback
        self._prompts = prompts
        self._codec = codec
        self._admission = admission
        self._retry_policy = retry_policy
        self._observer = observer
        self._upscalers = upscalers
        self._max_upscaled_pixels = max_upscaled_pixels

    async def accept(
        self, request: starweave_pb2.ImageRequest, deadline: Deadline, caller: Caller, pictures: int = 1
    ) -> Job:
        """Accepts a request for a number of pictures; waits for a family that is coming back.

        Raises InvalidRequest, Overloaded, or ModelUnavailable where no family is ready in time, or no upscaler at once.
        """
        validate_names(request)
        with self._admission.held(caller):
            choice, generation = await self._write(request, self._retry_policy.series(deadline), deadline)
            upscaler = self._upscalers.resolve(generation.upscale) if generation.upscale > 1 else None
            await self._admission.count(caller, pictures)
            generation, tensors = await self._decode(request, generation)
        return Job(
            *(request, caller, deadline, generation, choice.residency, choice.reason),
            *(tensors, Provenance.of(request), choice.merit, upscaler),
        )

    async def again(self, job: Job, retries: Retries) -> Job:
        """The job for the next attempt: the same picture, by whichever family can make it now.

        Raises ModelUnavailable where none can in time.
        """
        choice = await self._choose(job.request, retries)
        if choice.residency.family is job.generation.family:
            return replace(job, residency=choice.residency)
        request = starweave_pb2.ImageRequest()
        request.CopyFrom(job.request)
        request.settings.seed = job.generation.seed
        try:
            # Another family has presets and a tokenizer of its own.
            generation = validate(request, choice.residency.family, self._upscales)
            generation = await self._prompts.write(request, generation, choice.residency, job.deadline)
            generation, tensors = await self._decode(request, generation)
        except InvalidRequest as error:
            raise ModelUnavailable(
                f"The model {job.generation.family.name} failed while the picture was being made, and "
                f"{choice.residency.family.name}, which stands in for it, cannot make it: {error}"
            ) from error
        generation = replace(generation, variation=job.generation.variation)
        return replace(
            job,
            generation=generation,
            residency=choice.residency,
            fallback=choice.reason,
            pictures=tensors,
            merit=choice.merit,
        )

    async def _write(
        self, request: starweave_pb2.ImageRequest, retries: Retries, deadline: Deadline
    ) -> tuple[FamilyChoice, Generation]:
        while True:
            choice = await self._choose(request, retries)
            try:
                generation = validate(request, choice.residency.family, self._upscales)
                self._admission.check_backlog(choice.residency.backlog, generation, deadline.remaining)
                return choice, await self._prompts.write(request, generation, choice.residency, deadline)
            except ModelUnavailable as error:
                # The tokenizer went away.
                await retries.pause(error, begun=False)

    @property
    def _upscales(self) -> UpscaleLimits:
        return UpscaleLimits(self._upscalers.factors, self._max_upscaled_pixels)

    async def _choose(self, request: starweave_pb2.ImageRequest, retries: Retries) -> FamilyChoice:
        while True:
            best = await self._chooser.choose(request)
            try:
                choice = self._fallback.choose(best.model, capability_of(request))
                return replace(choice, merit=best.reason)
            except ModelUnavailable as error:
                await retries.pause(error, begun=False)

    async def _decode(self, request: starweave_pb2.ImageRequest, generation: Generation) -> tuple[Generation, Tensors]:
        if generation.capability is Capability.TEXT_TO_IMAGE:
            return generation, {}
        with self._observer.decoding(generation.family.name):
            generation, tensors = await self._codec.decode(request, generation)
        check_finished_size(generation, self._upscales)
        return generation, tensors
