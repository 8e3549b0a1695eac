"""The samplers by name. The names with "Karras" differ from their namesakes only in the schedule.

So does DDPM (Ho et al. 2020, arXiv:2006.11239) from Euler a: for latents x0 + sigma * noise the mean and the
small variance of its posterior are the step down and the way back up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from diffusionapi.engine.samplers.dpm_solver import dpm_adaptive, dpm_fast
from diffusionapi.engine.samplers.dpmpp import (
    dpmpp_2m,
    dpmpp_2m_sde,
    dpmpp_2s,
    dpmpp_2s_ancestral,
    dpmpp_sde,
)
from diffusionapi.engine.samplers.euler import ddim, euler, euler_ancestral
from diffusionapi.engine.samplers.heun import dpm2, dpm2_ancestral, heun
from diffusionapi.engine.samplers.lcm import lcm
from diffusionapi.engine.samplers.multistep import deis, ipndm, lms, plms
from diffusionapi.engine.samplers.unipc import unipc

if TYPE_CHECKING:
    from diffusionapi.engine.samplers.sampler import Sampler

SAMPLERS: dict[str, Sampler] = {
    "Euler": euler,
    "Euler a": euler_ancestral,
    "Heun": heun,
    "DPM2": dpm2,
    "DPM++ 2S a": dpmpp_2s_ancestral,
    "DPM++ 2M": dpmpp_2m,
    "DPM++ 2M Karras": dpmpp_2m,
    "DPM++ SDE": dpmpp_sde,
    "DPM++ SDE Karras": dpmpp_sde,
    "DPM fast": dpm_fast,
    "DPM adaptive": dpm_adaptive,
    "LMS": lms,
    "LMS Karras": lms,
    "DDIM": ddim,
    "PLMS": plms,
    "UniPC": unipc,
    "DPM2 a": dpm2_ancestral,
    "DPM++ 2S": dpmpp_2s,
    "DPM++ 2M SDE": dpmpp_2m_sde,
    "DEIS": deis,
    "IPNDM": ipndm,
    "DDPM": euler_ancestral,
    "LCM": lcm,
}
