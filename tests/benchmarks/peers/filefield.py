"""What a plain Django project does with uploads: a model with a FileField, nothing encrypted.

A server is given `application` or `asgi_application`, and in FILEFIELD_DIR the folder for files and
database.
"""

import os
from pathlib import Path

import django
from django.conf import settings
from django.http import HttpRequest, JsonResponse

FOLDER = Path(os.environ.get("FILEFIELD_DIR", "."))

if not settings.configured:
    settings.configure(
        SECRET_KEY="a benchmark has no secrets",
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF=__name__,
        MEDIA_ROOT=FOLDER / "media",
        FILE_UPLOAD_TEMP_DIR=FOLDER,
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.sqlite3",
                "NAME": FOLDER / "filefield.sqlite3",
                "OPTIONS": {"transaction_mode": "IMMEDIATE", "timeout": 20},
            }
        },
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    )
    django.setup()

from django.core.asgi import get_asgi_application  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.db import connection, models  # noqa: E402
from django.urls import path  # noqa: E402


class Document(models.Model):
    """One file, as the tutorial has it."""

    file = models.FileField(upload_to="documents")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        app_label = "filefield"


def receive(request: HttpRequest) -> JsonResponse:
    """Store the file of a form."""
    document = Document._default_manager.create(file=request.FILES["file"])
    return JsonResponse({"id": document.pk}, status=201)


urlpatterns = [path("upload/", receive)]


def make_table() -> None:
    """Make the one table there is."""
    if Document._meta.db_table not in connection.introspection.table_names():
        with connection.schema_editor() as editor:
            editor.create_model(Document)
    connection.close()  # it is not for the processes that a server forks


make_table()
application = get_wsgi_application()
asgi_application = get_asgi_application()
