"""Django without the edge, for plain WSGI servers: correct, but slow clients can stop those."""

import os

from django.core.wsgi import get_wsgi_application

from config.startup.refusal import refuse_without_keys

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.production")

application = get_wsgi_application()

refuse_without_keys()
