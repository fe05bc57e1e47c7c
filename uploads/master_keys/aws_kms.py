"""Master keys that only AWS KMS, or a service with its API, can open.

The ring holds ciphertexts of KMS. They are opened once, when a process first needs them: after
that KMS may be away. The id of each key is its encryption context, so that two cannot be exchanged.
"""

from typing import Any, ClassVar, Self

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

PATIENCE = Config(connect_timeout=5, read_timeout=10, retries={"max_attempts": 4})


class AwsKms:
    """`kms_key` is the id, the alias or the ARN of a symmetric key there."""

    kind: ClassVar[str] = "aws_kms"

    def __init__(self, kms_key: str, region: str, endpoint: str) -> None:
        self._kms_key, self._region, self._endpoint = kms_key, region, endpoint
        self._client = boto3.client(
            "kms", region_name=region, endpoint_url=endpoint or None, config=PATIENCE
        )

    @classmethod
    def create(cls, *, kms_key: str = "", region: str = "", **_: Any) -> Self:
        if not kms_key or not region:
            raise ImproperlyConfigured(
                "Name the key of KMS and its region: --kms-key alias/strongroom --region eu-west-1."
            )
        return cls(kms_key, region, settings.UPLOADS["KMS_ENDPOINT"])

    @classmethod
    def from_description(cls, description: dict[str, Any]) -> Self:
        endpoint = settings.UPLOADS["KMS_ENDPOINT"]
        return cls(str(description["kms_key"]), str(description["region"]), endpoint)

    def describe(self) -> dict[str, Any]:
        return {"kms_key": self._kms_key, "region": self._region}

    def protect(self, key_id: str, key: bytes) -> bytes:
        return self._ask("encrypt", "CiphertextBlob", key_id, Plaintext=key)

    def reveal(self, key_id: str, protected: bytes) -> bytes:
        return self._ask("decrypt", "Plaintext", key_id, CiphertextBlob=protected)

    def _ask(self, operation: str, field: str, key_id: str, **arguments: bytes) -> bytes:
        try:
            answer = getattr(self._client, operation)(
                KeyId=self._kms_key,
                EncryptionContext={"strongroom-master-key": key_id},
                **arguments,
            )
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "unknown")
            raise ImproperlyConfigured(
                f"KMS refused to {operation} a master key ({code}). Grant this deployment "
                f"kms:{operation.capitalize()} on its key, and see that the ring belongs to it."
            ) from None
        except BotoCoreError as error:
            raise ImproperlyConfigured(
                f"KMS did not {operation} a master key ({type(error).__name__}). See that it can "
                "be reached, and that credentials are where boto3 looks for them."
            ) from None
        found: bytes = answer[field]
        return found
