"""`/healthz`: is this site able to serve a page, the database included?

Each call keeps the database awake, or wakes it: monitors should call it rarely on a site that is
meant to cost nothing while nobody uses it.
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
    """200 `{"status": "ok"}`, or 503 with the failing part and the kind of its error.

    The error's text stays in the log: it names hosts and users.
    """
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except Error as error:
        logger.exception("The health check cannot query the database")
        answer = {"status": "error", "problem": "database", "error": type(error).__name__}
        return JsonResponse(answer, status=503)
    return JsonResponse({"status": "ok"})
