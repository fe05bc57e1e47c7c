"""Write what somebody needs to open the blobs of one upload without Strongroom."""

import json
from pathlib import Path
from typing import Any
from uuid import UUID

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, CommandParser

from config.durable import write_private
from uploads.encryption import KeyRing
from uploads.key_models import OwnerKey, UploadKey
from uploads.master_keys import document


class Command(BaseCommand):
    help = (
        "Write the key bundle of an upload, as docs/encryption-format.md describes it, for "
        "docs/decrypt_blob.py. It holds a master key in the clear: keep it as you keep that."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("upload", type=UUID)
        parser.add_argument("file", type=Path)

    def handle(self, **options: Any) -> None:
        upload = UploadKey.objects.filter(pk=options["upload"]).first()
        if upload is None:
            raise CommandError("There is no key of this upload: it is unknown, or was erased.")
        owner = OwnerKey.objects.get(pk=upload.owner_id)
        master_key_id = KeyRing.key_id(bytes(owner.wrapped))
        try:
            master_key = document().reveal(master_key_id)
        except (ImproperlyConfigured, ValueError) as error:
            raise CommandError(str(error)) from error
        bundle = {
            "format": "strongroom key bundle 1",
            "master_keys": {master_key_id: master_key.hex()},
            "owner_id": str(owner.owner_id),
            "owner_key": bytes(owner.wrapped).hex(),
            "upload_id": str(upload.upload_id),
            "upload_key": bytes(upload.wrapped).hex(),
        }
        write_private(options["file"].absolute(), json.dumps(bundle, indent=2) + "\n")
        self.stdout.write("The bundle holds a master key in the clear: destroy it after use.")
