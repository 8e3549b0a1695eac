"""A Stable Diffusion 1.x autoencoder whose encoder is constructed, not trained.

The encoder computes `latents.to_latents` with the stock layers, so latents to train on need no network. The
decoder begins as a plain enlarger; `decoder.py` trains it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from diffusers import AutoencoderKL
from torch import Tensor, nn

from training.picturebook.latents import LUMA, SCALING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from training.picturebook.latents import Whitening

WIDTHS = (16, 32, 64, 64)
GROUPS = 2
COLOURS = 3
SIGNALS = 4
"""Red, green, blue and the ramp's moment travel in the first channels of every level."""

LOG_VARIANCE = -20.0

LOUD = 256.0
"""The encoder's constant channels: so much louder than the signals that a group's norm is theirs alone. Eight
of them in a group of 32 give the norm a standard deviation of LOUD / 2."""

CARRIER = 4.0
"""The decoder's constant channels: with them its norms depend less on the rest of the picture, and what is
learnt on small crops holds for whole ones. Louder ones make learning slow."""


def build(whitening: Whitening) -> Any:
    """Always the same weights for the same whitening."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        vae = AutoencoderKL(
            down_block_types=("DownEncoderBlock2D",) * len(WIDTHS),
            up_block_types=("UpDecoderBlock2D",) * len(WIDTHS),
            block_out_channels=WIDTHS,
            layers_per_block=1,
            norm_num_groups=GROUPS,
            latent_channels=SIGNALS,
            sample_size=512,
            scaling_factor=SCALING,
        )
        _construct_encoder(vae, whitening)
        _begin_decoder(vae, whitening)
    return vae


# --- the encoder


def _construct_encoder(vae: Any, whitening: Whitening) -> None:
    encoder = vae.encoder
    for parameter in [*encoder.parameters(), *vae.quant_conv.parameters()]:
        parameter.zero_()
    _pass(encoder.conv_in, range(COLOURS))
    for block in encoder.down_blocks:
        for resnet in block.resnets:
            if resnet.conv_shortcut is not None:
                _pass(resnet.conv_shortcut, range(SIGNALS))
    halvings = [block.downsamplers[0].conv for block in encoder.down_blocks[:-1]]
    for level, halving in enumerate(halvings):
        halving.weight[:SIGNALS, :SIGNALS, :2, :2] = _halve(level)
    _whiten(halvings[-1], whitening)
    _read_out(encoder)
    _pass(vae.quant_conv, range(2 * SIGNALS))


def _halve(level: int) -> Tensor:
    """Means over 2 x 2; the ramp's moment gains what luma does between the two columns and the two rows."""
    weight = torch.zeros(SIGNALS, SIGNALS, 2, 2)
    for signal in range(SIGNALS):
        weight[signal, signal] = 0.25
    side = torch.tensor([-0.5, 0.5]) * 2**level / 3.5
    step = side[None, :] + side[:, None] / 2
    for colour, share in enumerate(LUMA):
        weight[SIGNALS - 1, colour] = 0.25 * share * step
    return weight


def _whiten(conv: nn.Conv2d, whitening: Whitening) -> None:
    """Makes what the last halving gives latents, each beside its negative, in the first group, and adds the
    constant channels that make the last norm linear."""
    matrix = torch.zeros(SIGNALS, SIGNALS)
    matrix[:COLOURS, :COLOURS] = torch.tensor(whitening.matrix)
    matrix[-1, -1] = whitening.ramp
    mean = torch.tensor([*whitening.mean, 0.0])
    weight = torch.einsum("ls,scij->lcij", matrix, conv.weight[:SIGNALS])
    bias = -matrix @ mean
    conv.weight.zero_()
    assert conv.bias is not None
    for sign, first in ((1, 0), (-1, SIGNALS)):
        conv.weight[first : first + SIGNALS] = sign * weight
        conv.bias[first : first + SIGNALS] = sign * bias
    conv.bias[2 * SIGNALS : 4 * SIGNALS] = LOUD * torch.tensor([1.0, -1.0] * SIGNALS)


def _read_out(encoder: Any) -> None:
    """silu(s) - silu(-s) = s undoes the last nonlinearity."""
    encoder.conv_norm_out.weight[: 2 * SIGNALS] = LOUD / 2
    middle = encoder.conv_out.weight[:, :, 1, 1]
    for signal in range(SIGNALS):
        middle[signal, signal] = 1 / SCALING
        middle[signal, signal + SIGNALS] = -1 / SCALING
    encoder.conv_out.bias[SIGNALS:] = LOG_VARIANCE


# --- the decoder


def _begin_decoder(vae: Any, whitening: Whitening) -> None:
    """Red, green and blue go through the skips; the other channels are random features of the latents that
    nothing reads yet."""
    decoder = vae.decoder
    for parameter in vae.post_quant_conv.parameters():
        parameter.zero_()
    _pass(vae.post_quant_conv, range(SIGNALS))
    _begin_stream(decoder.conv_in, whitening)
    attention = decoder.mid_block.attentions[0]
    for parameter in attention.to_out.parameters():
        parameter.zero_()
    for resnet in [
        *decoder.mid_block.resnets,
        *(one for block in decoder.up_blocks for one in block.resnets),
    ]:
        _begin_resnet(resnet)
    for block in decoder.up_blocks[:-1]:
        conv = block.upsamplers[0].conv
        _pass(conv, [*range(COLOURS), *_carriers(conv.out_channels)])
    _begin_read_out(decoder)


def _carriers(width: int) -> list[int]:
    """The channels of +CARRIER and -CARRIER, the last two of each group."""
    group = width // GROUPS
    return [end + back for end in range(group, width + 1, group) for back in (-2, -1)]


def _pass(conv: nn.Conv2d, channels: Sequence[int], sources: Sequence[int] | None = None) -> None:
    """The channels come out as `sources` (or they themselves) went in."""
    middle = conv.kernel_size[0] // 2
    assert conv.bias is not None
    for channel, source in zip(channels, sources or channels, strict=True):
        conv.weight[channel] = 0
        conv.weight[channel, source, middle, middle] = 1
        conv.bias[channel] = 0


def _begin_stream(conv: nn.Conv2d, whitening: Whitening) -> None:
    assert conv.bias is not None
    conv.weight *= SCALING
    conv.weight[:COLOURS] = 0
    unwhiten = torch.linalg.inv(torch.tensor(whitening.matrix))
    conv.weight[:COLOURS, :COLOURS, 1, 1] = SCALING * unwhiten
    conv.bias[:COLOURS] = torch.tensor(whitening.mean)
    _carry(conv)


def _carry(conv: nn.Conv2d) -> None:
    assert conv.bias is not None
    carriers = _carriers(conv.out_channels)
    conv.weight[carriers] = 0
    conv.bias[carriers] = CARRIER * torch.tensor([1.0, -1.0] * GROUPS)


def _make_linear(norm: nn.GroupNorm) -> None:
    """The norm gives back what it got; the carriers become +1 and -1."""
    deviation = CARRIER * (2 / (norm.num_channels // GROUPS)) ** 0.5
    norm.weight[:] = deviation
    norm.weight[_carriers(norm.num_channels)] = deviation / CARRIER


def _begin_resnet(resnet: Any) -> None:
    _make_linear(resnet.norm1)
    _carry(resnet.conv1)
    _make_linear(resnet.norm2)
    resnet.conv2.weight.zero_()
    resnet.conv2.bias.zero_()
    skip = resnet.conv_shortcut
    if skip is None:
        return
    to, of = _carriers(skip.out_channels), _carriers(skip.in_channels)
    _pass(skip, [*range(COLOURS), *to], [*range(COLOURS), *of])
    if skip.out_channels == WIDTHS[0]:
        for colour in range(COLOURS):  # the negatives, for the last nonlinearity
            skip.weight[COLOURS + colour] = -skip.weight[colour]
            skip.bias[COLOURS + colour] = 0


def _begin_read_out(decoder: Any) -> None:
    _make_linear(decoder.conv_norm_out)
    decoder.conv_out.weight.zero_()
    decoder.conv_out.bias.zero_()
    for colour in range(COLOURS):
        decoder.conv_out.weight[colour, colour, 1, 1] = 1
        decoder.conv_out.weight[colour, COLOURS + colour, 1, 1] = -1
