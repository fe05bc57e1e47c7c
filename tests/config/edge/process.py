"""The test site behind the edge, for a real server process."""

import os

os.environ["DJANGO_SETTINGS_MODULE"] = "tests.config.edge.settings"

from django.core.wsgi import get_wsgi_application

django_application = get_wsgi_application()

from config.edge.app import Edge  # noqa: E402 (needs the settings)

application = Edge(django_application)
