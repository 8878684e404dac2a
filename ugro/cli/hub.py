"""Upload an export to a new, private repository on the Hugging Face hub."""

from pathlib import Path

import httpx2  # of huggingface_hub
from huggingface_hub import HfApi, get_token
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils._validators import validate_repo_id

from ugro.errors import UserError, fault
from ugro.retries import one_line

MADE_BY_HUB = {".gitattributes"}  # in an empty repository
TROUBLE = (httpx2.HTTPError, OSError)


def check_target(name: str) -> None:
    """Check before an export that it can be uploaded afterwards, to a private repository.

    Raises:
        UserError: the name is malformed, there is no token, the repository has files,
            or it is public.
    """
    try:
        validate_repo_id(name)
    except HFValidationError as error:
        raise UserError(fault("push", name, "ORG/NAME")) from error
    if "/" not in name:
        raise UserError(fault("push", name, "ORG/NAME"))
    if get_token() is None:
        raise UserError(f"push: {name!r} needs a token: set HF_TOKEN, or run `hf auth login`")
    api = HfApi()
    try:
        exists = api.repo_exists(name)
        held = set(api.list_repo_files(name)) if exists else set()
        is_public = exists and not api.repo_info(name).private
    except TROUBLE as error:
        raise UserError(f"push: {name!r} cannot be reached ({one_line(error)})") from error
    if held - MADE_BY_HUB or is_public:
        raise UserError(fault("push", name, "a repository that is new, or empty and private"))


def upload(folder: Path, name: str, message: str) -> str:
    """Upload a folder and return the repository's address.

    Raises:
        UserError: the hub refuses it, or cannot be reached.
    """
    api = HfApi()
    try:
        address = api.create_repo(name, private=True, exist_ok=True)
        api.upload_folder(repo_id=name, folder_path=folder, commit_message=message)
    except (*TROUBLE, ValueError) as error:  # ValueError: the card is refused
        why = f"({' '.join(str(error).split())})" if str(error) else type(error).__name__
        raise UserError(f"push: {name!r} failed {why}; {folder} is complete") from error
    return str(address)
