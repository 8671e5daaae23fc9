"""`/healthz`, the health check of the site and its database.

Each request wakes the database or keeps it awake, which costs money: monitor the site rarely if it
should cost nothing while it is idle.
"""

import logging

from django.db import Error, connection
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe

logger = logging.getLogger(__name__)


@require_safe
@cache_control(no_store=True)
def healthz(_request: HttpRequest) -> JsonResponse:
    """Return 200 and `{"status": "ok"}`, or 503 with the failing part and the type of its error.

    The error's text is only logged, because it names hosts and users.
    """
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except Error as error:
        logger.exception("The health check could not query the database")
        problem = {"status": "error", "problem": "database", "error": type(error).__name__}
        return JsonResponse(problem, status=503)
    return JsonResponse({"status": "ok"})
