"""An engine without a model, for demos, client development and tests: it draws by Pillow, and learns nothing.

Its sizes, steps, phases and timing are true. A prompt may tell it to misbehave, at a step of its first pass
or of a training: `#crash@3` (the process kills itself), `#hang@3`, `#fail@3`, `#memory@3`. Where a safety
checker is installed, it objects to pictures with `#unsafe` in their prompt.
"""
