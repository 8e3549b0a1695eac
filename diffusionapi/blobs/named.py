"""Files of one shelf by plain names, so that nothing beside them is reached."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from diffusionapi.errors import UnknownPicture

if TYPE_CHECKING:
    import re
    from pathlib import Path

    from diffusionapi.blobs.shelf import Method, Shelf


class Kept:
    """A picture for servers that hand it out, as the shelf has it: a path of this machine, else an address to
    send the client to, else bytes. Of one that is not there neither path nor address is known."""

    def __init__(self, shelf: Shelf, name: str) -> None:
        self.name = name
        self._shelf = shelf

    @property
    def path(self) -> Path | None:
        return self._shelf.path(self.name)

    def url(self, method: Method) -> str | None:
        return self._shelf.url(self.name, method)

    def read(self) -> bytes:
        """UnknownPicture when it is not there."""
        content = self._shelf.read(self.name)
        if content is None:
            raise UnknownPicture(self.name)
        return content


class Named:
    names: ClassVar[re.Pattern[str]]
    """What a name looks like; any other is unknown."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    @property
    def folder(self) -> Path | None:
        """The folder of this machine in which they lie, if they do."""
        return self._shelf.folder

    def get(self, name: str) -> bytes:
        return self.kept(name).read()

    def kept(self, name: str) -> Kept:
        """A picture to be handed out, looked for when it is."""
        return Kept(self._shelf, self._known(name))

    def exists(self, name: str) -> bool:
        return self._shelf.has(self._known(name))

    def check(self) -> None:
        """Raise StorageUnavailable when a picture could not be kept now."""
        self._shelf.check()

    def _known(self, name: str) -> str:
        if not self.names.fullmatch(name):
            raise UnknownPicture(name)
        return name
