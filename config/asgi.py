"""What a server runs: Django behind the edge."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.production")

from django.core.wsgi import get_wsgi_application

django_application = get_wsgi_application()

from config.edge.app import Edge  # noqa: E402 (needs the apps)
from config.startup.refusal import refuse_without_keys  # noqa: E402

refuse_without_keys()

application = Edge(django_application)
