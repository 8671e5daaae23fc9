"""The WSGI application, as any Django project has it; `djambda.awslambda` calls it on AWS."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mysite.settings")

application = get_wsgi_application()
