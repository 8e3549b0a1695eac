"""Downloads a model from the Hugging Face hub: only the files it needs, in half precision if it can."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from diffusionapi.errors import PullFailed
from diffusionapi.weights import folders
from diffusionapi.weights.places import INDEX

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from huggingface_hub.hf_api import RepoSibling

    from diffusionapi.engine.models.download import Remote

_COMPONENTS = ("unet", "vae", "text_encoder", "text_encoder_2")
_TOKENIZERS = ("tokenizer", "tokenizer_2")
_TOKENIZER_FILES = (
    "vocab.json",
    "merges.txt",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
)


def pull(
    name: str,
    to: Path,
    *,
    token: str | None = None,
    file: str | None = None,
    pickles: bool = False,
    endpoint: str | None = None,
) -> Path:
    """Download `org/name` into the folder `to`; the same call goes on where an earlier one was cut off."""
    # The hub's library takes a third of a second to import, and only this needs it.
    import httpx2
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HFValidationError

    folder = to / f"models--{name.replace('/', '--')}"
    try:
        info = HfApi(endpoint=endpoint, token=token).model_info(name, files_metadata=True)
        listed = {one.rfilename: one for one in info.siblings or []}
        chosen = [file] if file else wanted(name, list(listed), pickles=pickles)
        for one in chosen:
            if one not in listed:
                raise PullFailed(f"{name} has no file {one}")
        remotes = {one: _remote(name, info.sha, listed[one], endpoint) for one in chosen}
        _download(name, folder, remotes, token)
    except HFValidationError as error:
        raise PullFailed(f"{name!r} is no name of a model; it looks like org/name") from error
    except (OSError, httpx2.HTTPError) as error:
        raise PullFailed(_sentence(name, error)) from error
    return folder


def _remote(name: str, revision: str | None, listed: RepoSibling, endpoint: str | None) -> Remote:
    from huggingface_hub import hf_hub_url

    from diffusionapi.engine.models.download import Remote

    url = hf_hub_url(name, listed.rfilename, revision=revision, endpoint=endpoint)
    return Remote(url, listed.size or 0, listed.lfs.sha256 if listed.lfs else None, listed.blob_id)


def _download(name: str, folder: Path, remotes: Mapping[str, Remote], token: str | None) -> None:
    from huggingface_hub.utils._headers import build_hf_headers
    from tqdm import tqdm

    from diffusionapi.engine.models.download import fetch

    missing = {one: remote for one, remote in remotes.items() if not remote.is_at(folder / one)}
    size = sum(remote.size for remote in missing.values())
    _refuse_if_full(folder, size)
    headers = build_hf_headers(token=token)
    with tqdm(total=size, desc=name, unit="B", unit_scale=True, disable=not missing) as bar:
        for one, remote in missing.items():
            fetch(remote, folder / one, headers, bar.update)


def wanted(name: str, files: Sequence[str], *, pickles: bool = False) -> list[str]:
    """Of all files of a repository, those that this server uses."""
    if INDEX in files:
        return list(_of_folder(name, files, pickles))
    checkpoints = [one for one in files if "/" not in one and one.endswith(".safetensors")]
    if len(checkpoints) == 1:
        return checkpoints
    if checkpoints:
        raise PullFailed(f"{name} holds several checkpoints; pick one with --file: {', '.join(checkpoints)}")
    raise PullFailed(f"{name} holds neither {INDEX} nor a .safetensors checkpoint")


def _of_folder(name: str, files: Sequence[str], pickles: bool) -> Iterator[str]:
    known = set(files)
    yield INDEX
    yield from known & {folders.SCHEDULER}
    for tokenizer in _TOKENIZERS:
        yield from sorted(known & {f"{tokenizer}/{one}" for one in _TOKENIZER_FILES})
    for component in _COMPONENTS:
        inside = {one.removeprefix(f"{component}/") for one in files if one.startswith(f"{component}/")}
        if not inside:
            continue
        yield f"{component}/config.json"
        chosen = folders.choose(inside, half=True) or (folders.choose_pickle(inside) if pickles else None)
        if chosen is None:
            hint = "; allow pickles to take them" if folders.choose_pickle(inside) else ""
            raise PullFailed(f"{name} has no safetensors weights in {component}{hint}")
        yield f"{component}/{chosen}"
        yield from sorted(f"{component}/{one}" for one in folders.shards_of(chosen, inside))


def _refuse_if_full(folder: Path, size: int) -> None:
    there = folder
    while not there.exists():
        there = there.parent
    free = shutil.disk_usage(there).free
    if size > free:
        raise PullFailed(f"The model needs {size / 1e9:.1f} GB and {free / 1e9:.1f} GB are free in {there}")


def _sentence(name: str, error: Exception) -> str:
    import httpx2
    from huggingface_hub import errors

    page = f"https://huggingface.co/{name}"
    match error:
        case errors.OfflineModeIsEnabled():
            return "HF_HUB_OFFLINE is set; unset it to download"
        case errors.GatedRepoError():
            return f"{name} is gated: accept its terms at {page} and set HUGGINGFACE_TOKEN to your token"
        case errors.RepositoryNotFoundError():
            return f"There is no model {name} on the hub, or it is private: then set HUGGINGFACE_TOKEN"
        case errors.HfHubHTTPError():
            return f"The hub answered {error.response.status_code} for {name}; try again later"
        case httpx2.HTTPError() | errors.LocalEntryNotFoundError():
            return f"The hub cannot be reached ({error}); try again, it goes on from here"
        case _:
            return f"Downloading {name} failed: {error}"
