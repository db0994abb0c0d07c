"""Continuous batching of denoising steps, independent of Triton.

`samplers` and `schedules` turn a scheduler config into coefficient tables, `noise` draws torch's Gaussian noise,
`generation` is one picture under way, `scheduler` picks the next step's batch, `session` runs the UNet, `step` advances
a batch, `engine` is the loop.
"""
