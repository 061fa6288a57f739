"""A release, or an export of one, put on the Hugging Face Hub: the card, NOTICE, every split, in one commit, tagged with the release's version.

Nothing is sent unless a person says so by name. The Hub's own library does the sending; where it sends to and who it is are its own settings (HF_ENDPOINT,
HF_TOKEN).
"""

import os
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from schemas.errors import ContractError, SettingsError, StorageError
from tasks.release.export_manifest import EXPORT_MANIFEST, read_export, verify_export
from tasks.release.manifest import read_manifest, verify_release
from tasks.release.publish import find_release

if TYPE_CHECKING:
    from collections.abc import Iterator

    from huggingface_hub import HfApi


@dataclass(frozen=True, slots=True)
class Push:
    """What would be put where."""

    folder: Path
    repository: str
    """`owner/name` of a data set on the Hub."""
    public: bool
    manifest: Mapping[str, Any]
    files: tuple[Path, ...]
    """Relative to the folder."""

    @property
    def size(self) -> int:
        """Bytes."""
        return sum((self.folder / one).stat().st_size for one in self.files)

    @property
    def title(self) -> str:
        """What it is, in a few words."""
        form = f" as {self.manifest['to']}" if "to" in self.manifest else ""
        return f"{self.manifest['name']}/{self.manifest['version']}{form}"

    @property
    def tag(self) -> str:
        """The release's version."""
        return str(self.manifest["version"])


def find_pushable(data: Path, wanted: str) -> Path:
    """Find an export by its folder, or a release as `find_release` does. Raises NotFoundError."""
    return Path(wanted) if (Path(wanted) / EXPORT_MANIFEST).is_file() else find_release(data, wanted)


def plan_push(folder: Path, repository: str, *, public: bool) -> Push:
    """Check a release or an export, whole, and say what would be sent.

    Raises ContractError if it isn't what its manifest says, SettingsError for a wrong name.
    """
    owner, slash, name = repository.partition("/")
    if not (owner and slash and name) or "/" in name or repository.strip() != repository:
        raise SettingsError(f"{repository!r} is not the name of a repository on the Hub: give owner/name")
    exported = (folder / EXPORT_MANIFEST).is_file()
    faults = verify_export(folder) if exported else verify_release(folder)
    if faults:
        cure = "export it anew" if exported else "see gristmill releases verify"
        raise ContractError(f"{folder} is not as its manifest says, so it is not pushed: {faults[0].file} {faults[0].what}; {cure}")
    files = tuple(sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file()))
    return Push(folder, repository, public, _told_of_export(read_export(folder)) if exported else read_manifest(folder), files)


def _told_of_export(made: Mapping[str, Any]) -> dict[str, Any]:
    """Give an export's manifest the keys of its release's that a push tells of."""
    rows = {name: count["rows"] for name, count in made["rows"].items()}
    told = {"to": made["to"]["name"], "rows": rows, "obligations": made["obligations"], "rehearsal": made["rehearsal"]}
    return {**made["release"], **told}


def push(planned: Push) -> str:
    """Send it, and give the commit's address. Raises StorageError for what the Hub refuses, SettingsError where its library is not installed."""
    api = _hub()
    with _explaining(planned):
        from huggingface_hub import CommitOperationAdd

        api.create_repo(planned.repository, repo_type="dataset", private=not planned.public, exist_ok=True)
        operations = [CommitOperationAdd(str(one), os.fspath(planned.folder / one)) for one in planned.files]
        message = f"{planned.title}, run {planned.manifest['run_id']}"
        # One commit: whoever loads the data set sees a version whole or not at all.
        done = api.create_commit(planned.repository, operations, commit_message=message, repo_type="dataset")
        api.create_tag(planned.repository, tag=planned.tag, revision=done.oid, repo_type="dataset")
        return str(done.commit_url)


def _hub() -> "HfApi":
    # Read when the library is first imported.
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    try:
        from huggingface_hub import HfApi
    except ImportError as error:
        raise SettingsError("pushing takes the package huggingface_hub, which is not installed: pip install huggingface_hub") from error
    return HfApi(library_name="gristmill")


@contextmanager
def _explaining(planned: Push) -> "Iterator[None]":
    from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError

    try:
        yield
    except LocalTokenNotFoundError as error:
        raise SettingsError("the Hub wants a token: set HF_TOKEN to one that may write") from error
    except HfHubHTTPError as error:
        status = error.response.status_code if error.response is not None else "no answer"
        if status in (401, 403):
            raise SettingsError(f"the Hub refused {planned.repository} ({status}): set HF_TOKEN to a token that may write there") from error
        if status == 409:
            raise StorageError(f"{planned.repository} has a version {planned.tag} already: a published version is not overwritten") from error
        raise StorageError(f"the Hub did not take {planned.repository} ({status}): {error}") from error
    except OSError as error:
        raise StorageError(f"can't reach the Hub: {error}") from error
